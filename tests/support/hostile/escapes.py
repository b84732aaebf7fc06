#!/usr/bin/env python3
"""Tries to get out of its box, every way it knows, and says of each whether it was held.

A file `targets.json` beside it names what is outside: paths, pids, ports, sockets. One line per attempt:
`held NAME: how` or `ESCAPED NAME: what it got`. Ends with `done N`.
"""
import ctypes, errno, json, os, platform, signal, socket, stat, struct, subprocess, sys, time

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "targets.json")) as file:
    T = json.load(file)
data = os.environ["HOME"]
libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
count = 0


class Held(Exception):
    pass


# Some of this would hurt a machine that does not hold it.
if open("/proc/1/comm").read().strip() != "bwrap":
    sys.exit("this program runs in a sandbox only")


def there(found, what="not there"):
    if not found:
        raise Held(what)
    return found


def attempt(name):
    def run(body):
        global count
        count += 1
        try:
            got = body()
            print(f"ESCAPED {name}: {got!r}"[:300], flush=True)
        except (OSError, Held, subprocess.SubprocessError, socket.gaierror) as error:
            print(f"held {name}: {error}"[:300], flush=True)

    return run


def syscall(x64, arm64, *args):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(arm64 if ARM else x64), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def read(path):
    with open(path, "rb") as file:
        return file.read(200)


def write(path):
    """What is there already: a file of its own in its own /tmp would prove nothing."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, b"escaped")
    finally:
        os.close(file)
    return f"wrote {path}"


def create(path):
    with open(path, "ab") as file:
        file.write(b"escaped")
    return f"made {path}"


def connects(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)
        s.send(b"GET / HTTP/1.0\r\n\r\n")
        return f"connected to {address}"


# Files by path.
for label, path in T["secrets"].items():
    attempt(f"read {label}")(lambda path=path: read(path))
    attempt(f"write {label}")(lambda path=path: write(path))
    attempt(f"list the folder of {label}")(
        lambda path=path: there([name for name in os.listdir(os.path.dirname(path)) if name == os.path.basename(path)])
    )
attempt("read a secret by ..")(lambda: read(f"{T['readable']}/../{os.path.basename(T['secrets']['operator file'])}"))
attempt("write where only reading was approved")(lambda: write(f"{T['readable']}/note.txt"))
attempt("write its own source")(lambda: write(os.path.join(here, "agent.txt")))
attempt("replace its own program")(lambda: os.rename(os.path.join(data, "x"), __file__))
attempt("write into the system")(lambda: create("/usr/bin/escaped"))
attempt("write into /etc")(lambda: write("/etc/passwd"))
attempt("read the real shadow file")(lambda: read("/etc/shadow"))
attempt("write at the root")(lambda: create("/escaped"))
attempt("make a device")(lambda: os.mknod(f"{data}/disk", 0o600 | 0o060000, os.makedev(*T["disk"])))
attempt("read a disk")(lambda: read("/dev/vda") if os.path.exists("/dev/vda") else read("/dev/sda"))
attempt("read the machine's memory")(lambda: read("/dev/mem"))
for place in (data, T["writable"]):
    attempt(f"make a setuid program in {place}")(lambda place=place: (create(f"{place}/suid"), os.chmod(f"{place}/suid", 0o4755)))
    attempt(f"make a setgid program in {place}")(lambda place=place: (create(f"{place}/suid"), os.chmod(f"{place}/suid", 0o2755)))
    attempt(f"open a new setuid program in {place}")(lambda place=place: os.open(f"{place}/suid-new", os.O_CREAT | os.O_WRONLY, 0o4755))
    attempt(f"make a node that is a setuid program in {place}")(lambda place=place: os.mknod(f"{place}/suid-node", 0o104755))
attempt("give a file away")(lambda: os.chown(f"{data}/suid", 12345, 12345))


@attempt("read through a symlink it made")
def _():
    link = f"{data}/link"
    if not os.path.islink(link):
        os.symlink(T["secrets"]["core database"], link)
    return read(link)


@attempt("hard link a secret into its data")
def _():
    os.link(T["secrets"]["operator file"], f"{data}/hard")
    return read(f"{data}/hard")


@attempt("hard link across its own places")
def _():
    os.link(f"{T['readable']}/note.txt", f"{T['writable']}/hard")
    return write(f"{T['writable']}/hard")


# /proc and other processes.
attempt("see processes outside")(lambda: there([pid for pid in os.listdir("/proc") if pid == str(T["victim"])]))
attempt("read the victim's environment")(lambda: read(f"/proc/{T['victim']}/environ"))
attempt("read Core's environment")(lambda: read(f"/proc/{T['core']}/environ"))
attempt("read a file through Core's root")(lambda: read(f"/proc/{T['core']}/root{T['secrets']['operator file']}"))
attempt("read a file through init's root")(lambda: read(f"/proc/1/root{T['secrets']['operator file']}"))
attempt("read a file through its own cwd descriptor")(lambda: read(f"/proc/self/cwd/../../../..{T['secrets']['operator file']}"))
attempt("signal the victim")(lambda: os.kill(T["victim"], signal.SIGTERM))
attempt("signal Core")(lambda: os.kill(T["core"], signal.SIGKILL))
attempt("trace init")(lambda: syscall(101, 117, 16, 1, 0, 0))
attempt("read another process's memory")(lambda: syscall(310, 270, 1, 0, 0, 0, 0, 0))
attempt("write another process's memory")(lambda: syscall(311, 271, 1, 0, 0, 0, 0, 0))
attempt("write init's memory by path")(lambda: write("/proc/1/mem"))
attempt("take a descriptor of another process")(lambda: syscall(438, 438, 3, 0, 0))
attempt("change a kernel setting")(lambda: write("/proc/sys/kernel/core_pattern"))
attempt("pull the system request key")(lambda: write("/proc/sysrq-trigger"))
attempt("write through sysfs")(lambda: write("/sys/kernel/uevent_helper"))
attempt("read the kernel's keys")(lambda: read("/proc/keys"))


@attempt("raise its own limits over the hard ones")
def _():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard == resource.RLIM_INFINITY:
        raise Held("there is no limit to raise")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


# The kernel.
attempt("mount a file system")(lambda: syscall(165, 40, b"none", b"/tmp", b"tmpfs", 0, 0))
attempt("unmount /proc")(lambda: syscall(166, 39, b"/proc", 0))
attempt("remount the root writable")(lambda: syscall(165, 40, b"none", b"/", b"", 0x20 | 0x1000, 0))
attempt("open a new mount")(lambda: syscall(430, 430, b"tmpfs", 0))
attempt("move a mount")(lambda: syscall(429, 429, -100, b"/usr", -100, b"/tmp", 0))
attempt("pivot the root")(lambda: syscall(155, 41, b"/tmp", b"/tmp"))
attempt("change the root")(lambda: syscall(161, 51, b"/tmp"))
attempt("make a user namespace")(lambda: syscall(272, 97, 0x10000000))
attempt("make a user namespace by clone")(lambda: syscall(56, 220, 0x10000000 | 17, 0, 0, 0, 0))
attempt("make a user namespace by clone3")(lambda: syscall(435, 435, struct.pack("QQQQQQQQ", 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64))
attempt("enter a namespace")(lambda: syscall(308, 268, os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))
attempt("open a file by handle")(lambda: syscall(304, 265, -100, b"\0" * 64, 0))
attempt("use keyctl")(lambda: syscall(250, 219, 0, -3, 1))
attempt("add a key")(lambda: syscall(248, 217, b"user", b"escaped", b"x", 1, -3))
attempt("load a BPF program")(lambda: syscall(321, 280, 0, b"\0" * 128, 128))
attempt("open perf events")(lambda: syscall(298, 241, b"\0" * 128, 0, -1, -1, 0))
attempt("use userfaultfd")(lambda: syscall(323, 282, 1))
attempt("use io_uring")(lambda: syscall(425, 425, 4, b"\0" * 128))
attempt("load a kernel module")(lambda: syscall(313, 273, 0, b"", 0))
attempt("load a kernel")(lambda: syscall(246, 104, 0, 0, 0, 0))
attempt("set the clock")(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
attempt("set the host's name")(lambda: socket.sethostname("escaped"))
attempt("reboot")(lambda: syscall(169, 142, 0xFEE1DEAD, 672274793, 0, 0))
attempt("become another user")(lambda: os.setuid(12345))
attempt("gain by a setuid program")(lambda: subprocess.run(["su", "-c", "id", "root"], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=5).stdout if os.getuid() != 0 else there(None, "root gains nothing"))


@attempt("hold a capability")
def _():
    text = open("/proc/self/status").read()
    held = [line for line in text.splitlines() if line.startswith("Cap") and int(line.split()[1], 16) != 0]
    return there(held, "none in any set")


# Terminals.
@attempt("type into a terminal")
def _():
    import fcntl
    fcntl.ioctl(0, 0x5412, b"x")


attempt("open the controlling terminal")(lambda: os.open("/dev/tty", os.O_RDWR))


@attempt("type into a terminal of its own making")
def _():
    import fcntl, pty
    master, slave = pty.openpty()
    fcntl.ioctl(slave, 0x5412, b"x")
    return "TIOCSTI"


# Sockets.
attempt("connect to Core's control socket")(lambda: connects(socket.AF_UNIX, T["control_socket"]))
attempt("connect to another agent's socket")(lambda: connects(socket.AF_UNIX, T["victim_socket"]))
attempt("connect to an abstract socket")(lambda: connects(socket.AF_UNIX, "\0" + T["abstract"]))
attempt("connect to the container engine")(lambda: connects(socket.AF_UNIX, "/var/run/docker.sock"))
attempt("connect to the system bus")(lambda: connects(socket.AF_UNIX, "/run/dbus/system_bus_socket"))
attempt("connect to Core's page")(lambda: connects(socket.AF_INET, ("127.0.0.1", T["page_port"])))
attempt("connect to the machine's loopback")(lambda: connects(socket.AF_INET, ("127.0.0.1", T["tcp_port"])))
attempt("connect to the machine's loopback by IPv6")(lambda: connects(socket.AF_INET6, ("::1", T["tcp6_port"])))
attempt("connect to an IPv4-mapped address")(lambda: connects(socket.AF_INET6, (f"::ffff:127.0.0.1", T["tcp_port"])))
attempt("connect to the machine's own address")(lambda: connects(socket.AF_INET, (T["address"], T["tcp_port"])))
attempt("connect to an address outside")(lambda: connects(socket.AF_INET, ("192.0.2.1", 80)))
attempt("connect to the metadata service")(lambda: connects(socket.AF_INET, ("169.254.169.254", 80)))
attempt("send a datagram")(lambda: connects(socket.AF_INET, (T["address"], T["udp_port"]), socket.SOCK_DGRAM))
attempt("ask for a name")(lambda: socket.getaddrinfo("example.com", 80))
attempt("ask a name server")(lambda: connects(socket.AF_INET, ("8.8.8.8", 53), socket.SOCK_DGRAM))
attempt("open a raw socket")(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("open a packet socket")(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("open a socket to the hypervisor")(lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("open a socket to the kernel's cryptography")(lambda: socket.socket(38, socket.SOCK_SEQPACKET))
attempt("raise an interface")(lambda: subprocess.run(["ip", "link", "add", "x0", "type", "dummy"], check=True, capture_output=True))


@attempt("pass a descriptor of a folder outside")
def _():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        kept = stat.S_IFMT(os.stat(f"/proc/self/fd/{name}").st_mode) in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFSOCK)
        if kept and target.startswith("/") and not target.startswith(("/dev/", "/proc/", here, data)):
            found.append(target)
    return there(found, "no descriptor but its own")


# Filling and multiplying. What is tried here must not hurt the machine either.
@attempt("fill the machine's memory through /tmp")
def _():
    block = b"\0" * 1_048_576
    with open("/tmp/big", "wb") as file:
        try:
            for _ in range(400):
                file.write(block)
        finally:
            os.truncate("/tmp/big", 0)
    return "400 MiB"


@attempt("fill the machine's memory through /dev/shm")
def _():
    block = b"\0" * 1_048_576
    with open("/dev/shm/big", "wb") as file:
        try:
            for _ in range(400):
                file.write(block)
        finally:
            os.truncate("/dev/shm/big", 0)
    return "400 MiB"


# What Core could follow later: left behind for the test to look at.
for name, target in (("tmp-link", T["secrets"]["operator file"]), ("up", "../../..")):
    try:
        os.symlink(target, f"{data}/{name}")
    except OSError:
        pass

# Outliving: a daemon that cleared its environment, and a tree of forks.
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        os.execve("/bin/sleep", ["sleep", T["sleep"]], {})
    os._exit(0)
for _ in range(50):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execv("/bin/sleep", ["sleep", T["sleep"]])
print(f"done {count}", flush=True)
while True:
    signal.pause()
