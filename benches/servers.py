"""What the benchmarks share: servers on free loopback ports, and what loads them."""
import json
import os
import re
import selectors
import shlex
import socket
import subprocess
import sys
import time


class HeldPort:
    """A port that the kernel gives to nobody else until it is closed.

    A socket without a listener is bound to it.  A program that names the port may listen on it, since it sets SO_REUSEADDR too.
    """

    def __init__(self):
        self.holding = socket.socket()
        self.holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holding.bind(("127.0.0.1", 0))
        self.number = self.holding.getsockname()[1]

    def close(self):
        self.holding.close()


class Server:
    def __init__(self, definition, folder):
        self.name, command = definition.split("=", 1)
        self.held = HeldPort()
        self.port = self.held.number
        # A directory of its own for each server that keeps something.
        own = os.path.abspath(os.path.join(folder, self.name))
        words = shlex.split(command.replace("{port}", str(self.port)).replace("{dir}", own))
        if os.path.exists(words[0]):
            words[0] = os.path.abspath(words[0])
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_until_up()

    def wait_until_up(self):
        for _ in range(400):
            try:
                with self.connect() as connection:
                    connection.sendall(requests(["PING"]))
                    if connection.recv(64).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.025)
        sys.exit(f"{self.name} did not come up")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.held.close()


def bench(program, server, workload, *words, **options):
    """The figures of a run of `quartet bench`; an error that the server answers ends the measurement.

    An option that is True has no value, and one that is None or False is left out.
    """
    command = [program, "bench", workload, "--json", "--server", f":{server.port}"]
    for name, value in options.items():
        if value is None or value is False:
            continue
        command.append(f"--{name.replace('_', '-')}")
        if value is not True:
            command.append(str(value))
    done = subprocess.run(command + [str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{server.name}: {' '.join(command)}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return json.loads(done.stdout)["figures"]


class Load:
    """Connections that each send a prepared request, wait for its whole answer, and send the next.

    `next_request(number)` gives the bytes that connection `number` sends next, or None when it is done; `is_whole(bytes)`
    says whether an answer is complete; `check(bytes)` fails on an answer that is not what it should be.
    """

    def __init__(self, address, connections, next_request, is_whole, check):
        self.next_request, self.is_whole, self.check = next_request, is_whole, check
        self.selector = selectors.DefaultSelector()
        for number in range(connections):
            stream = socket.create_connection(address, 60)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(stream, selectors.EVENT_READ, [number, b""])

    def run(self):
        """Returns the seconds it took."""
        began = time.perf_counter()
        waiting = 0
        for key in list(self.selector.get_map().values()):
            waiting += self.send(key.fileobj, key.data)
        while waiting:
            for key, _ in self.selector.select(60):
                data = key.fileobj.recv(1 << 16)
                if not data:
                    sys.exit("a server closed a connection")
                key.data[1] += data
                if self.is_whole(key.data[1]):
                    self.check(key.data[1])
                    key.data[1] = b""
                    waiting -= 1 - self.send(key.fileobj, key.data)
        return time.perf_counter() - began

    def send(self, stream, data):
        request = self.next_request(data[0])
        if request is None:
            return 0
        stream.sendall(request)
        return 1

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


def requests(*commands):
    """RESP requests, one after the other."""
    parts = []
    for command in commands:
        words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
        parts.append(b"*%d\r\n" % len(words))
        parts.extend(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    return b"".join(parts)


ERROR = re.compile(rb"(?:^|\r\n)-[A-Z]")


def no_error(answer):
    """Ends the run at an error reply, which would otherwise look like a quick answer."""
    if ERROR.search(answer):
        sys.exit(f"an error: {answer[:200]!r}")
