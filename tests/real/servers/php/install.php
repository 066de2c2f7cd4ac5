<?php
// php install.php ROOT URL TIMEZONE: sets the site up and prints {"role": ["login", "application password"], ...}.
[, $root, $url, $timezone] = $argv;
$_SERVER['HTTP_HOST'] = parse_url($url, PHP_URL_HOST) . ':' . parse_url($url, PHP_URL_PORT);
$_SERVER += ['REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET'];
define('WP_INSTALLING', true);
define('WP_SITEURL', $url);
// Replaces WordPress's own, which would send mail.
function wp_new_blog_notification() {}
require "$root/wp-load.php";
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install('公告测试 Test Site', 'admin', 'admin@example.test', true, '', 'a password for people');
foreach ([
    'home' => $url,
    'siteurl' => $url,
    'permalink_structure' => '/%postname%/',
    'timezone_string' => $timezone,
    'default_pingback_flag' => 0,
] as $name => $value) {
    update_option($name, $value);
}
// A new site comes with a post, a page and a comment; tests begin with none.
foreach (get_posts(['numberposts' => -1, 'post_type' => ['post', 'page'], 'post_status' => 'any']) as $post) {
    wp_delete_post($post->ID, true);
}
$users = [];
foreach (['admin', 'editor', 'author', 'contributor', 'subscriber'] as $role) {
    $known = get_user_by('login', $role);
    $id = $known ? $known->ID : wp_insert_user([
        'user_login' => $role,
        'user_pass' => "a password for people",
        'user_email' => "$role@example.test",
        'role' => $role,
    ]);
    [$password] = WP_Application_Passwords::create_new_application_password($id, ['name' => 'publisher']);
    $users[$role] = [$role, $password];
}
echo json_encode($users), "\n";
