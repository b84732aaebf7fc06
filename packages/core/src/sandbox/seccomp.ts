/**
 * The system calls that no agent needs, as a classic BPF program for bubblewrap's --seccomp.
 *
 * A deny-list: what a run may reach is decided by namespaces and mounts; this narrows the kernel's surface behind
 * them. Refused calls fail with EPERM, those that programs try and do without with ENOSYS, foreign address families
 * with EAFNOSUPPORT. A call of another architecture (32-bit on 64-bit) fails with ENOSYS, since its numbers mean
 * something else. Where Core has no table for the processor there is no filter, and the probe says so.
 */

type Machine = { audit: number; numbers: Readonly<Record<string, number>>; x32: boolean };

/** Numbers that are the same on both: everything since Linux 5.1. */
const NEWER = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  clone3: 435,
  openat2: 437,
  pidfd_getfd: 438,
  mount_setattr: 442,
  quotactl_fd: 443,
  fchmodat2: 452,
  open_tree_attr: 467,
};

const MACHINES: Readonly<Record<string, Machine>> = {
  x64: {
    audit: 0xc000003e,
    x32: true,
    numbers: {
      ...NEWER,
      open: 2,
      ioctl: 16,
      socket: 41,
      clone: 56,
      creat: 85,
      chmod: 90,
      fchmod: 91,
      ptrace: 101,
      syslog: 103,
      mknod: 133,
      vhangup: 153,
      modify_ldt: 154,
      pivot_root: 155,
      adjtimex: 159,
      chroot: 161,
      acct: 163,
      settimeofday: 164,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      sethostname: 170,
      setdomainname: 171,
      iopl: 172,
      ioperm: 173,
      init_module: 175,
      delete_module: 176,
      quotactl: 179,
      nfsservctl: 180,
      lookup_dcookie: 212,
      clock_settime: 227,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      openat: 257,
      mknodat: 259,
      fchmodat: 268,
      unshare: 272,
      perf_event_open: 298,
      fanotify_init: 300,
      name_to_handle_at: 303,
      open_by_handle_at: 304,
      clock_adjtime: 305,
      setns: 308,
      process_vm_readv: 310,
      process_vm_writev: 311,
      kcmp: 312,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    x32: false,
    numbers: {
      ...NEWER,
      lookup_dcookie: 18,
      ioctl: 29,
      mknodat: 33,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      nfsservctl: 42,
      chroot: 51,
      fchmod: 52,
      fchmodat: 53,
      openat: 56,
      vhangup: 58,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      clock_settime: 112,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      sethostname: 161,
      setdomainname: 162,
      settimeofday: 170,
      adjtimex: 171,
      socket: 198,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      clone: 220,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      fanotify_init: 262,
      name_to_handle_at: 264,
      open_by_handle_at: 265,
      clock_adjtime: 266,
      setns: 268,
      process_vm_readv: 270,
      process_vm_writev: 271,
      kcmp: 272,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
    },
  },
};

/** Programs look whether these are there and go on without; clone3 and openat2 hide their flags from a filter. */
const ABSENT = ["clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register"];
/**
 * Which argument is the mode of a file, and which, if any, says whether one is made.
 * SECURITY: a program that runs as the operator, whoever starts it, would give the operator's account to every other user of the
 * machine who can reach an approved folder, and root's where Core is root's; pinned by "make a setuid program".
 */
const MODES: Readonly<Record<string, { mode: number; flags?: number }>> = {
  chmod: { mode: 1 },
  fchmod: { mode: 1 },
  fchmodat: { mode: 2 },
  fchmodat2: { mode: 2 },
  creat: { mode: 1 },
  mknod: { mode: 1 },
  mknodat: { mode: 2 },
  open: { mode: 2, flags: 1 },
  openat: { mode: 3, flags: 2 },
};
/** Looked at by their arguments. */
const JUDGED = ["ioctl", "socket", "clone", ...Object.keys(MODES)];

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;

/** Offsets in the kernel's struct seccomp_data; the low half of each 64-bit argument on a little-endian machine. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number): number => 16 + 8 * index;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACES = 0x7e020000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_TYPE_MASK = 0xf;
const SOCK_RAW = 3;
const X32_BIT = 0x40000000;
/** S_ISUID, S_ISGID. */
const SET_ID = 0o6000;
/** O_CREAT and what O_TMPFILE has beside O_DIRECTORY. */
const MAKES_A_FILE = 0o20000100;

/** BPF: load, jump if equal, jump if any bit is set, jump if at least, and, return. */
const LD = 0x20;
const JEQ = 0x15;
const JSET = 0x45;
const JGE = 0x35;
const AND = 0x54;
const RET = 0x06;
type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

/** The names of the calls that are refused outright for a processor, sorted; for tests and the documentation. */
export function refusedCalls(processor: string): string[] {
  return Object.keys(MACHINES[processor]?.numbers ?? {})
    .filter((name) => !JUDGED.includes(name))
    .sort();
}

/** The program as the kernel reads it, or undefined for a processor without a table. `processor`: as Node names it. */
export function seccompProgram(processor: string): Buffer | undefined {
  const machine = MACHINES[processor];
  if (machine === undefined) return undefined;
  const program = instructions(machine);
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, jumpTrue, jumpFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}

function instructions({ audit, numbers, x32 }: Machine): Instruction[] {
  const number = (name: string): number => numbers[name] ?? 0;
  const refuse = (name: string, errno: number): Instruction[] => [
    [JEQ, 0, 1, number(name)],
    [RET, 0, 0, ERRNO | errno],
  ];
  return [
    [LD, 0, 0, ARCHITECTURE],
    [JEQ, 1, 0, audit],
    [RET, 0, 0, ERRNO | ENOSYS],
    [LD, 0, 0, NUMBER],
    ...(x32
      ? ([
          [JGE, 0, 1, X32_BIT],
          [RET, 0, 0, ERRNO | ENOSYS],
        ] as Instruction[])
      : []),
    ...judged(number("ioctl"), [
      [LD, 0, 0, argument(1)],
      [JEQ, 1, 0, TIOCSTI],
      [JEQ, 0, 1, TIOCLINUX],
      [RET, 0, 0, ERRNO | EPERM],
    ]),
    ...judged(number("clone"), [
      [LD, 0, 0, argument(0)],
      [JSET, 0, 1, CLONE_NAMESPACES],
      [RET, 0, 0, ERRNO | EPERM],
    ]),
    ...judged(number("socket"), [
      [LD, 0, 0, argument(0)],
      [JEQ, 8, 0, AF_UNIX],
      [JEQ, 7, 0, AF_NETLINK],
      [JEQ, 2, 0, AF_INET],
      [JEQ, 1, 0, AF_INET6],
      [RET, 0, 0, ERRNO | EAFNOSUPPORT],
      [LD, 0, 0, argument(1)],
      [AND, 0, 0, SOCK_TYPE_MASK],
      // Not reached by AF_UNIX and AF_NETLINK, whose raw type is an ordinary one.
      [JEQ, 0, 1, SOCK_RAW],
      [RET, 0, 0, ERRNO | EPERM],
    ]),
    ...Object.keys(MODES)
      .filter((name) => numbers[name] !== undefined)
      .flatMap((name) => judged(number(name), setsId(MODES[name] ?? { mode: 0 }))),
    ...ABSENT.flatMap((name) => refuse(name, ENOSYS)),
    ...Object.keys(numbers)
      .filter((name) => !JUDGED.includes(name) && !ABSENT.includes(name))
      .flatMap((name) => refuse(name, EPERM)),
    [RET, 0, 0, ALLOW],
  ];
}

/** Without a file that is made, what stands in the place of its mode means nothing. */
function setsId({ mode, flags }: { mode: number; flags?: number }): Instruction[] {
  return [
    ...(flags === undefined
      ? []
      : ([
          [LD, 0, 0, argument(flags)],
          [JSET, 0, 3, MAKES_A_FILE],
        ] as Instruction[])),
    [LD, 0, 0, argument(mode)],
    [JSET, 0, 1, SET_ID],
    [RET, 0, 0, ERRNO | EPERM],
  ];
}

/** `body` for one call; what it does not refuse is allowed. */
function judged(number: number, body: readonly Instruction[]): Instruction[] {
  return [[JEQ, 0, body.length + 1, number], ...body, [RET, 0, 0, ALLOW]];
}
