<?php
// Sessions of phpredis with locking, which php's own web server serves: `php -S ADDRESS sessions.php`.
//
// Each request counts its visits; `?slowly` holds the session's lock until the list `go` has an element.

ini_set('session.save_handler', 'redis');
ini_set('session.save_path', 'tcp://127.0.0.1:' . getenv('INTEROP_PORT') . '?prefix=session:');
ini_set('redis.session.locking_enabled', '1');
ini_set('redis.session.lock_retries', '-1');
ini_set('redis.session.lock_wait_time', '5000');

if (!session_start()) {
    http_response_code(500);
    exit('no session');
}
if (isset($_GET['slowly'])) {
    $redis = new Redis();
    $redis->connect('127.0.0.1', (int) getenv('INTEROP_PORT'));
    $redis->blPop(['go'], 60);
}
if (isset($_GET['gone'])) {
    session_destroy();
    exit('gone');
}
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
echo $_SESSION['visits'];
