"""redis-cli in a terminal, as a person types: `terminal.py PORT`."""

import os
import pty
import sys

ANSWER_MAX = 65_536


class Terminal:
    """redis-cli on the other side of a pseudo terminal."""

    def __init__(self, port):
        self.prompt = f"127.0.0.1:{port}> "
        pid, self.terminal = pty.fork()
        if pid == 0:
            # A dumb terminal gets plain lines; hints and colours are not tested.
            os.environ["TERM"] = "dumb"
            os.environ["REDISCLI_HISTFILE"] = "/dev/null"
            os.execvp("redis-cli", ["redis-cli", "-p", str(port)])
        self.pid = pid
        self.seen = ""

    def until(self, text):
        """All that was printed up to `text`, which has to come."""
        while text not in self.seen:
            assert len(self.seen) < ANSWER_MAX, self.seen
            try:
                chunk = os.read(self.terminal, 4096)
            except OSError:
                chunk = b""
            assert chunk, f"redis-cli ended before {text!r}: {self.seen!r}"
            self.seen += chunk.decode()
        before, _, self.seen = self.seen.partition(text)
        return before.replace("\r\n", "\n")

    def type(self, line):
        """Types a line and returns the answer to it."""
        os.write(self.terminal, line.encode() + b"\n")
        echoed = self.until("\n")
        assert echoed.strip() == line, (echoed, line)
        return self.until(self.prompt).rstrip("\n")


def main(port):
    terminal = Terminal(port)
    terminal.until(terminal.prompt)
    check(terminal, "PING", "PONG")
    check(terminal, 'SET "two words" "a \\"quoted\\" \\x00 value"', "OK")
    check(terminal, "GET 'two words'", '"a \\"quoted\\" \\x00 value"')
    check(terminal, "GET absent", "(nil)")
    check(terminal, "INCR counter", "(integer) 1")
    check(terminal, "INCR 'two words'", "(error) ERR value is not an integer or out of range")
    check(terminal, "NOSUCH", "(error) ERR unknown command 'NOSUCH', with args beginning with: ")
    check(terminal, 'SET "open', "Invalid argument(s)")
    check(terminal, "MGET counter absent", '1) "1"\n2) (nil)')
    hello = terminal.type("HELLO 3")
    assert '"proto" => (integer) 3' in hello, hello
    assert hello.startswith('1# "server" => '), hello
    check(terminal, "GET counter", '"1"')
    os.write(terminal.terminal, b"exit\n")
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status


def check(terminal, line, expected):
    answer = terminal.type(line)
    assert answer == expected, f"{line}: {answer!r} is not {expected!r}"
    print(line)


main(int(sys.argv[1]))
