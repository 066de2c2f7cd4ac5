<?php
// php run.php ROOT < CODE: runs CODE inside the site and prints what it returns as JSON, on a line of its own.
[, $root] = $argv;
$_SERVER += ['HTTP_HOST' => 'localhost', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET'];
require "$root/wp-load.php";
$publisher_result = eval(stream_get_contents(STDIN));
echo "\n", json_encode($publisher_result, JSON_THROW_ON_ERROR), "\n";
