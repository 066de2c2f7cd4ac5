<?php
// Read at every request, so that a test can change them on a running site.
$publisher_site = json_decode(file_get_contents(__DIR__ . '/site.json'), true);

define('DB_NAME', 'wp');
define('DB_USER', 'wp');
define('DB_PASSWORD', 'wp');
define('DB_HOST', $publisher_site['db_host']);
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
// The SQLite drop-in's; MariaDB has no use for them.
define('DB_DIR', __DIR__ . '/wp-content/database/');
define('DB_FILE', 'wp.sqlite');

foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $purpose) {
    define("{$purpose}_KEY", "$purpose key of a site that lives for one test run");
    define("{$purpose}_SALT", "$purpose salt of a site that lives for one test run");
}
$table_prefix = 'wp_';

// "local" allows application passwords over plain http; "production" does not.
define('WP_ENVIRONMENT_TYPE', $publisher_site['environment']);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_AUTO_UPDATE_CORE', false);
define('DISABLE_WP_CRON', true);
define('WP_DEBUG_DISPLAY', false);

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
