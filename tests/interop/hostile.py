#!/usr/bin/env python3
"""Hostile clients against a real daemon, by raw sockets that speak nng's SP protocol by hand.

While each attack goes on, a good client calls all the time: each of its calls must succeed. Its
latencies are printed beside those of a quiet daemon, and nothing is asserted of them. Afterwards
the daemon's descriptors are back at the base line, and its log holds no line of a client's making.

Usage: hostile.py MXADMD PROTO SUPPORT
"""
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

MXADMD = sys.argv[1]
PATIENCE_S = 20  # for anything that should come at once
ATTACK_S = 1.5   # how long one goes on
MEBIBYTE = 1 << 20
REVISION_MAX = (1 << 64) - 1

OK, INVALID_ARGUMENT, PERMISSION_DENIED, UNIMPLEMENTED = 0, 3, 7, 12


# ---------------------------------------------------------------- protobuf, as little as it takes

def varint(number):
    out = bytearray()
    number &= REVISION_MAX
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def number_field(field, number):
    return varint(field << 3) + varint(number)


def field(number, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def request(method, message=b'', timeout_s=None, min_revision=None):
    out = field(1, method if '/' in method else 'mxadm.v1.Admin/' + method)
    if timeout_s is not None:
        out += field(3, number_field(1, timeout_s))
    if min_revision is not None:
        out += field(5, number_field(3, min_revision))
    return out + field(6, message)


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def code_of(answer):
    """Of Response.status.code; both are the first field of their message, and absent when OK."""
    if not answer or answer[0] != 0x0a:
        return OK
    _, at = read_varint(answer, 1)
    return read_varint(answer, at + 1)[0] if answer[at] == 0x08 else OK


# ---------------------------------------------------------------------------------------------- SP

class Connection:
    HELLO, HELLO_BACK = b'\0SP\0\0\x30\0\0', b'\0SP\0\0\x31\0\0'

    def __init__(self, url, hello=True):
        scheme, place = url.split('://', 1)
        self.is_unix = scheme != 'tcp'
        self.number = 0
        if self.is_unix:
            self.socket = socket.socket(socket.AF_UNIX)
            # Without a timeout connect() waits for its turn; with one it fails at a full backlog.
            self.socket.connect(place if scheme == 'ipc' else '\0' + place)
            self.socket.settimeout(PATIENCE_S)
        else:
            host, port = place.rsplit(':', 1)
            self.socket = socket.create_connection((host, int(port)), PATIENCE_S)
        if hello:
            self.socket.sendall(self.HELLO)
            assert self.read(8) == self.HELLO_BACK

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, size):
        data = b''
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError('the daemon hung up')
            data += piece
        return data

    def frame(self, body, announced=None):
        length = len(body) if announced is None else announced
        return (b'\1' if self.is_unix else b'') + struct.pack('>Q', length) + body

    def call_frame(self, packed):
        self.number += 1
        return self.frame(struct.pack('>I', 0x80000000 | self.number) + packed)

    def send(self, packed):
        self.socket.sendall(self.call_frame(packed))

    def receive(self):
        self.read(1 if self.is_unix else 0)
        return self.read(struct.unpack('>Q', self.read(8))[0])[4:]

    def call(self, packed):
        self.send(packed)
        return self.receive()

    def pour(self, data):
        """Sends what the other side takes without anything being read."""
        self.socket.setblocking(False)
        try:
            while data:
                data = data[self.socket.send(data):]
        except OSError:
            pass

    def is_closed(self):
        try:
            while self.socket.recv(MEBIBYTE):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False


# ------------------------------------------------------------------------------------------ daemon

class Daemon:
    def __init__(self, settings):
        self.directory = tempfile.mkdtemp(prefix='mxadm-hostile-')
        self.settings = os.path.join(self.directory, 'mxadmd.yaml')
        self.state = os.path.join(self.directory, 'state')
        with open(self.settings, 'w') as out:
            out.write(f'urls: ["ipc://{self.directory}/socket", "tcp://127.0.0.1:0", '
                      f'"abstract://{os.path.basename(self.directory)}"]\n'
                      f'state_directory: {self.state}\nhost_name: mail.example.org\n{settings}')

    def start(self):
        self.log = []
        self.process = subprocess.Popen([MXADMD, '--config', self.settings],
                                        stderr=subprocess.PIPE)
        for line in self.process.stderr:
            self.log.append(line)
            if b' info ready ' in line:
                break
        else:
            raise AssertionError('the daemon did not start: ' + str(self.log))
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()
        urls = re.findall(r'listening url="([^"]*)"', b''.join(self.log).decode())
        self.ipc, self.tcp, self.abstract = urls

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        code = self.process.wait(PATIENCE_S)
        self.reader.join()
        return code

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def resident_mebibytes(self):
        with open(f'/proc/{self.process.pid}/status') as status:
            return int(re.search(r'VmRSS:\s+(\d+)', status.read())[1]) // 1024

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory)


class GoodClient(threading.Thread):
    """Calls without a pause, on one connection that must never be lost."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.ends, self.latencies, self.failure = url, False, [], None
        self.start()

    def run(self):
        try:
            with Connection(self.url) as connection:
                while not (self.ends and self.latencies):  # once, even if the attack is over
                    begin = time.monotonic()
                    code = code_of(connection.call(request('DomainGet', field(1, 'a.example'))))
                    self.latencies.append(time.monotonic() - begin)
                    assert code == OK, f'code {code}'
                    time.sleep(0.002)  # leaves the machine to the attack
        except Exception as failure:  # whatever it is, the test says it
            self.failure = failure

    def end(self, name, daemon):
        self.ends = True
        self.join(PATIENCE_S)
        assert self.failure is None, f'{name}: the good client: {self.failure!r}'
        assert self.latencies, f'{name}: the good client got no answer'
        ordered = sorted(self.latencies)
        print(f'{name:58} p50 {ordered[len(ordered) // 2] * 1e3:7.2f} ms'
              f'  p99 {ordered[len(ordered) * 99 // 100] * 1e3:8.2f} ms'
              f'  {daemon.resident_mebibytes():5} MiB', flush=True)


HEALTH = request('grpc.health.v1.Health/Check')
LARGE = request('ServerInfo', number_field(1, 1))


# ----------------------------------------------------------------------------------------- attacks

def nothing(daemon, ends_at):
    time.sleep(max(0, ends_at - time.monotonic()))


def clients_that_never_read(daemon, ends_at):
    while time.monotonic() < ends_at:
        greedy = [Connection(url) for url in (daemon.ipc, daemon.tcp, daemon.abstract) * 2]
        for connection in greedy:
            connection.pour(b''.join(connection.call_frame(LARGE) for _ in range(400)))
        time.sleep(0.3)  # an attack's own pace
        for connection in greedy:
            connection.socket.close()


def reads_that_wait_for_ever(daemon, ends_at):
    asked = request('ServerInfo', timeout_s=3600, min_revision=REVISION_MAX)
    health = request('grpc.health.v1.Health/Check', timeout_s=3600, min_revision=REVISION_MAX)
    waiting = [Connection(url) for url in (daemon.ipc, daemon.tcp) for _ in range(100)]
    for connection in waiting:
        connection.send(asked)
        connection.send(health)
    with Connection(daemon.abstract) as late:
        assert code_of(late.call(HEALTH)) == OK
    nothing(daemon, ends_at)
    for connection in waiting:
        connection.socket.close()


def connections_that_say_nothing(daemon, ends_at):
    silent = [Connection(daemon.tcp) for _ in range(300)]  # limits.connections is 256
    silent += [Connection(daemon.tcp, hello=False) for _ in range(100)]
    for url in (daemon.ipc, daemon.tcp, daemon.abstract):
        with Connection(url) as late:
            assert code_of(late.call(HEALTH)) == OK
    nothing(daemon, ends_at)
    for connection in silent:
        connection.socket.close()


def half_sent_and_absurd_messages(daemon, ends_at):
    halves = []
    for url in (daemon.ipc, daemon.tcp):
        for announced in (1 << 63, REVISION_MAX, 1 << 40, 5 * MEBIBYTE):
            with Connection(url) as connection:
                connection.socket.sendall(connection.frame(b'abcdef', announced))
                assert connection.is_closed(), f'{announced} bytes were not refused'
        for garbage in (b'GET / HTTP/1.1\r\n\r\n', b'\0SP\1\0\x30\0\0', b'\0SP\0\0\x10\0\0',
                        b'\0' * 64, b''):
            with Connection(url, hello=False) as connection:
                connection.socket.sendall(garbage)
        for body in (b'', b'\0', b'\0\0\0\1', b'\0\0\0\1' * 100000):
            with Connection(url) as connection:
                connection.socket.sendall(connection.frame(body))
        for _ in range(50):
            halves.append(Connection(url))
            halves[-1].socket.sendall(halves[-1].frame(b'x' * 1000, 4 * MEBIBYTE))
    nothing(daemon, ends_at)
    for connection in halves:
        connection.socket.close()


def clients_that_die_with_calls_in_work(daemon, ends_at):
    at_once = struct.pack('ii', 1, 0)
    while time.monotonic() < ends_at:
        for url in (daemon.ipc, daemon.tcp) * 10:
            with Connection(url) as connection:
                connection.socket.sendall(b''.join(connection.call_frame(LARGE)
                                                   for _ in range(16)))
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)


def connects_and_hang_ups(daemon, ends_at):
    while time.monotonic() < ends_at:
        for url in (daemon.ipc, daemon.tcp, daemon.abstract):
            Connection(url, hello=False).socket.close()


def bombs_of_protobuf(daemon, ends_at):
    head = field(1, 'mxadm.v1.Admin/DomainGet')
    times = (4 * MEBIBYTE - 200) // 2
    bombs = {
        'one field for ever': b'\x2a\0' * times,
        'a list without end': b'\x22\0' * times,
        'unknown fields': b'\x78\0' * times,
        'groups': b'\x7b' * times,
        'a varint without end': b'\x28' + b'\x80' * 20 + b'\0',
        'a length beyond all': b'\x32' + b'\xff' * 9 + b'\x01',
        'field 0': b'\0\0',
        'a wire type that is none': b'\x0e',
        'no UTF-8': b'\x0a\2\xff\xfe',
        'a NUL': b'\x0a\3a\0b',
        'no time': field(3, b''),
        'more than all time': field(3, number_field(1, (1 << 63) - 1)),
        'time below zero': field(3, number_field(2, -1)),
        'a short id': field(2, b'x'),
    }
    with Connection(daemon.ipc) as connection:
        for name, bomb in bombs.items():
            code = code_of(connection.call(head + bomb))
            assert code == INVALID_ARGUMENT, f'{name}: code {code}'
        commands = 'a/\x1b[2J\n2026-01-01T00:00:00.000000Z info ready \u009b2J\u202e\u2028'
        assert code_of(connection.call(request(commands))) == UNIMPLEMENTED
        assert code_of(connection.call(request('x' * (4 * MEBIBYTE - 100)))) == UNIMPLEMENTED
    nothing(daemon, ends_at)


def names_that_are_paths_and_records(daemon, ends_at):
    hostile = ['../../etc/passwd', 'a/b', '..', 'a\nb', 'a;b', 'a"b', 'a(b', '$INCLUDE x', '%s%n',
               '\u202ea', 'a\u2028b', '\u009b2J', 'x' * 65536]
    with Connection(daemon.ipc) as connection:
        for name in hostile:
            for packed in (
                    request('DomainAdd', field(1, name + '.example') + field(2, 'b') +
                            field(3, 'b')),
                    request('AccountAdd', field(1, name) + field(2, 'b@a.example')),
                    request('AddressAdd', field(1, f'"{name}\x01"@a.example') + field(2, 'a')),
                    request('DKIMAdd', field(1, 'a.example') + field(2, name)),
                    request('DomainRecords', field(1, 'a.example') +
                            field(3, f'https://x/{name}\n"'))):
                code = code_of(connection.call(packed))
                assert code == INVALID_ARGUMENT, f'{packed[:80]!r}: code {code}'


def changes_of_a_viewer(daemon, ends_at):
    with Connection(daemon.tcp) as connection:
        for method in ('DomainAdd', 'DomainRemove', 'DKIMAdd', 'DKIMRemove', 'DKIMKeyMake',
                       'DKIMKeyExport', 'AccountAdd', 'AccountRemove', 'AddressAdd',
                       'AddressRemove'):
            code = code_of(connection.call(request(method, field(1, 'a.example'))))
            assert code == PERMISSION_DENIED, f'{method}: code {code}'


ATTACKS = [nothing, clients_that_never_read, reads_that_wait_for_ever, connections_that_say_nothing,
           half_sent_and_absurd_messages, clients_that_die_with_calls_in_work,
           connects_and_hang_ups, bombs_of_protobuf, names_that_are_paths_and_records,
           changes_of_a_viewer]


# --------------------------------------------------------------------------------------------- run

def wait_until(holds, words):
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, words
        time.sleep(0.05)


def check_log(daemon):
    log = b''.join(daemon.log)
    for line in log.decode().splitlines():  # that it is UTF-8 is a check, too
        assert re.match(r'\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warning|error|audit) ', line), line
    assert len(log.decode().splitlines()) == log.count(b'\n'), 'a line ends within a value'
    for hostile in ('\x1b', '\u009b', '\u202e', 'PRIVATE KEY'):
        assert hostile.encode() not in log, f'{hostile!r} is in the log'


def attack(daemon):
    daemon.start()
    with Connection(daemon.ipc) as connection:
        added = connection.call(request('DomainAdd', field(1, 'a.example') + field(2, 'a') +
                                        field(3, 'a')))
        assert code_of(added) == OK, added
    base = daemon.descriptors()
    for hostile in ATTACKS:
        name = hostile.__name__.replace('_', ' ')
        good = GoodClient(daemon.ipc)
        hostile(daemon, time.monotonic() + ATTACK_S)
        good.end(name, daemon)
        wait_until(lambda: daemon.descriptors() <= base, f'{name}: descriptors are left')
    assert daemon.stop() == 0, daemon.log[-20:]
    check_log(daemon)


def a_closed_terminal_ends_it_cleanly(daemon):
    daemon.start()
    assert daemon.stop(signal.SIGHUP) == 0, daemon.log[-20:]
    assert b' info stopped ' in daemon.log[-1], daemon.log[-1]


def a_state_directory_of_others_is_refused(daemon):
    os.chmod(daemon.state, 0o777)
    ended = subprocess.run([MXADMD, '--config', daemon.settings], stderr=subprocess.PIPE,
                           timeout=PATIENCE_S, check=False)
    assert ended.returncode != 0 and b'writable for others' in ended.stderr, ended
    os.chmod(daemon.state, 0o700)


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    daemon = Daemon('keys: {rsa2048: {low: 2, high: 4}}\nlog: {level: debug}\n'
                    'limits: {connections: 256}\n')
    try:
        attack(daemon)
        a_closed_terminal_ends_it_cleanly(daemon)
        a_state_directory_of_others_is_refused(daemon)
    finally:
        daemon.remove()
    print('all sentences hold')


main()
