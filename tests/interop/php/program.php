<?php
// phpredis with its defaults: values, scripts, transactions, and sessions that lock, served by php's own web server.
//
// Each function is a step; its name is printed once it has passed.

const LOOKS_MAX = 12000;
const LOOK_MICROSECONDS = 10000;

set_error_handler(function (int $kind, string $text, string $file, int $line) {
    if (error_reporting() & $kind) {
        throw new ErrorException($text, 0, $kind, $file, $line);
    }
    return true;
});

$port = (int) getenv('INTEROP_PORT');
$redis = new Redis();
$redis->connect('127.0.0.1', $port);

function same(mixed $found, mixed $expected): void
{
    if ($found !== $expected) {
        throw new Exception(var_export($found, true) . ' is not ' . var_export($expected, true));
    }
}

function wait_until(callable $condition): mixed
{
    for ($look = 0; $look < LOOKS_MAX; $look++) {
        $found = $condition();
        if ($found) {
            return $found;
        }
        usleep(LOOK_MICROSECONDS);
    }
    throw new Exception('the condition did not hold');
}

function values(): void
{
    global $redis;
    same($redis->set('greeting', 'hello', ['nx', 'ex' => 60]), true);
    same($redis->set('greeting', 'again', ['nx', 'ex' => 60]), false);
    same($redis->get('greeting'), 'hello');
    same($redis->get('absent'), false);
    same($redis->hMSet('hash', ['one' => 1, 'two' => 2]), true);
    same($redis->hGetAll('hash'), ['one' => '1', 'two' => '2']);
    same($redis->rPush('list', 'a', 'b', 'c'), 3);
    same($redis->lRange('list', 0, -1), ['a', 'b', 'c']);
    same($redis->zAdd('scores', 1.5, 'one', 2, 'two'), 2);
    same($redis->zRange('scores', 0, -1, true), ['one' => 1.5, 'two' => 2.0]);
    same($redis->sAdd('set', 'x', 'y'), 2);
    same($redis->sIsMember('set', 'y'), true);
    same($redis->brPop(['absent', 'list'], 1), ['list', 'c']);
    $redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $cursor = null;
    same($redis->hScan('hash', $cursor), ['one' => '1', 'two' => '2']);
    same($redis->info('server')['redis_mode'], 'standalone');
}

function scripts(): void
{
    global $redis;
    $unlock = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
    $redis->set('lock', 'mine');
    same($redis->eval($unlock, ['lock', 'yours'], 1), 0);
    same($redis->evalSha(sha1($unlock), ['lock', 'mine'], 1), 1);
    same($redis->evalSha(str_repeat('0', 40)), false);
    same(str_starts_with($redis->getLastError(), 'NOSCRIPT'), true);
    same($redis->script('exists', sha1($unlock)), [1]);
}

function transactions(): void
{
    global $redis, $port;
    same($redis->multi()->incr('count')->incr('count')->get('count')->exec(), [1, 2, '2']);
    $redis->watch('count');
    $other = new Redis();
    $other->connect('127.0.0.1', $port);
    $other->set('count', 7);
    same($redis->multi()->incr('count')->exec(), false);
    same($redis->pipeline()->get('count')->type('hash')->exec(), ['7', Redis::REDIS_HASH]);
}

// A web server at a free address, and the address.
function web_server(): array
{
    $socket = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($socket, false);
    fclose($socket);
    $output = ['file', '/dev/null', 'w'];
    $command = [PHP_BINARY, '-S', $address, __DIR__ . '/sessions.php'];
    $server = proc_open($command, [['file', '/dev/null', 'r'], $output, $output], $pipes);
    wait_until(fn () => @stream_socket_client("tcp://$address", $code, $text, 1) !== false);
    return [$server, $address];
}

// Starts a request and returns its connection, from which the answer can be read later.
function ask(string $address, string $path, string $session): mixed
{
    $connection = stream_socket_client("tcp://$address");
    fwrite($connection, "GET $path HTTP/1.0\r\nCookie: PHPSESSID=$session\r\n\r\n");
    return $connection;
}

function answer(mixed $connection): string
{
    [$head, $body] = explode("\r\n\r\n", stream_get_contents($connection), 2);
    same(str_contains(explode("\r\n", $head)[0], '200'), true);
    return $body;
}

function sessions(): void
{
    global $redis, $addresses;
    same(array_map(fn ($address) => answer(ask($address, '/', 'first')), $addresses), ['1', '2', '3', '4']);
    same(answer(ask($addresses[0], '/', 'second')), '1');
    same($redis->exists('session:first', 'session:second'), 2);
    $left = $redis->ttl('session:first');
    same(0 < $left && $left <= 1440, true);
    same(answer(ask($addresses[1], '/?gone', 'second')), 'gone');
    same($redis->exists('session:second'), 0);
}

// One request holds the session; others of the same session wait for it, those of another do not.
function locked_sessions(): void
{
    global $redis, $addresses;
    $slow = ask($addresses[0], '/?slowly', 'first');
    wait_until(fn () => $redis->exists('session:first_LOCK') && $redis->info('clients')['blocked_clients'] === 1);
    $waiting = [ask($addresses[1], '/', 'first'), ask($addresses[2], '/', 'first')];
    same(answer(ask($addresses[3], '/', 'another')), '1');
    $none = null;
    $ready = $waiting;
    same(stream_select($ready, $none, $none, 0), 0);
    $redis->rPush('go', 'on');
    same(answer($slow), '5');
    $answers = array_map(answer(...), $waiting);
    sort($answers);
    same($answers, ['6', '7']);
    wait_until(fn () => !$redis->exists('session:first_LOCK'));
}

$servers = [];
try {
    foreach (['values', 'scripts', 'transactions'] as $step) {
        $step();
        echo "$step\n";
    }
    for ($number = 0; $number < 4; $number++) {
        [$servers[], $addresses[]] = web_server();
    }
    foreach (['sessions', 'locked_sessions'] as $step) {
        $step();
        echo "$step\n";
    }
} finally {
    foreach ($servers as $server) {
        proc_terminate($server);
        proc_close($server);
    }
}
