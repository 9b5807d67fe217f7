//! The filter: which system calls the kernel hands over. A classic BPF program, written by a pure function.
//!
//! It decides by number, architecture and plain arguments; what an argument points to it cannot see. So it is kept to
//! calls that are rare: every `connect`, but a `sendto` only with an address or with `MSG_FASTOPEN`, and `sendmsg` and
//! `sendmmsg` only with `MSG_FASTOPEN`. The reading and writing of an open connection is never slowed down.

/// The numbers of one architecture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Architecture {
    /// `AUDIT_ARCH_*`.
    audit: u32,
    connect: u32,
    sendto: u32,
    sendmsg: u32,
    sendmmsg: u32,
    execve: u32,
    execveat: u32,
    /// Whether numbers with bit 30 are another calling convention (x32) under the same `audit`.
    has_x32: bool,
    /// The 32-bit architecture that the same kernel can run.
    foreign: Foreign,
}

/// The calls of the 32-bit architecture: they are counted, not helped.
#[derive(Clone, Copy, Debug)]
struct Foreign {
    audit: u32,
    connect: u32,
    /// The call that stands for all socket calls, where there is one; 3 as first argument is connect.
    socketcall: Option<u32>,
}

/// x86_64, and i386 beside it.
pub(crate) const X86_64: Architecture = Architecture {
    audit: 0xc000_003e,
    connect: 42,
    sendto: 44,
    sendmsg: 46,
    sendmmsg: 307,
    execve: 59,
    execveat: 322,
    has_x32: true,
    foreign: Foreign {
        audit: 0x4000_0003,
        connect: 362,
        socketcall: Some(102),
    },
};

/// aarch64, and arm beside it.
pub(crate) const AARCH64: Architecture = Architecture {
    audit: 0xc000_00b7,
    connect: 203,
    sendto: 206,
    sendmsg: 211,
    sendmmsg: 269,
    execve: 221,
    execveat: 281,
    has_x32: false,
    foreign: Foreign {
        audit: 0x4000_0028,
        connect: 283,
        socketcall: None,
    },
};

/// The same number on every architecture, as for all calls since 424.
const IO_URING_SETUP: u32 = 425;
/// The bit that marks x32.
const X32: u32 = 0x4000_0000;
/// `MSG_FASTOPEN`.
const FAST_OPEN: u32 = 0x2000_0000;

impl Architecture {
    /// The one that this program was built for; `None` where `twinstack run` does not exist.
    pub(crate) const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(AARCH64)
        } else {
            None
        }
    }

    /// What a call that was handed over is.
    pub(crate) fn call(&self, audit: u32, number: u32) -> Call {
        if audit != self.audit {
            return if number == IO_URING_SETUP {
                Call::IoUringSetup
            } else {
                Call::Foreign
            };
        }
        match number {
            number if number == self.connect => Call::Connect,
            number if number == self.sendto => Call::SendTo,
            number if number == self.sendmsg => Call::SendMsg,
            number if number == self.sendmmsg => Call::SendMmsg,
            number if number == self.execve => Call::Execve,
            number if number == self.execveat => Call::Execveat,
            number if number & !X32 == IO_URING_SETUP => Call::IoUringSetup,
            _ => Call::Foreign,
        }
    }
}

/// A call that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `connect`.
    Connect,
    /// `sendto` with an address, or with `MSG_FASTOPEN`.
    SendTo,
    /// `sendmsg` with `MSG_FASTOPEN`.
    SendMsg,
    /// `sendmmsg` with `MSG_FASTOPEN`.
    SendMmsg,
    /// `io_uring_setup`.
    IoUringSetup,
    /// `execve`.
    Execve,
    /// `execveat`.
    Execveat,
    /// A `connect` of another calling convention than ours.
    Foreign,
}

/// What is to be handed over besides `connect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `sendto` with an address: name servers are asked so by musl and others.
    pub(crate) dns: bool,
    /// `execve`: somebody wants to know which programs lose their setuid bit.
    pub(crate) executions: bool,
    /// `io_uring_setup` gets ENOSYS instead of being counted.
    pub(crate) refuse_io_uring: bool,
}

/// One instruction, as the kernel's `struct sock_filter` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    /// The operation.
    pub(crate) code: u16,
    /// How many instructions to skip if a jump's condition holds.
    pub(crate) then: u8,
    /// And how many if it does not.
    pub(crate) otherwise: u8,
    /// The operand.
    pub(crate) operand: u32,
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K

const ALLOW: u32 = 0x7fff_0000; // SECCOMP_RET_ALLOW
const HAND_OVER: u32 = 0x7fc0_0000; // SECCOMP_RET_USER_NOTIF
const NO_SUCH_CALL: u32 = 0x0005_0000 | 0x26; // SECCOMP_RET_ERRNO, ENOSYS (38) on both architectures

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const AUDIT: u32 = 4;

/// The lower half of an argument; both architectures are little-endian.
const fn low(argument: u32) -> u32 {
    16 + 8 * argument
}

/// The upper half of an argument.
const fn high(argument: u32) -> u32 {
    low(argument) + 4
}

/// The program.
pub(crate) fn program(architecture: &Architecture, wanted: Wanted) -> Vec<Instruction> {
    let io_uring = end(if wanted.refuse_io_uring {
        NO_SUCH_CALL
    } else {
        HAND_OVER
    });
    let mut program = vec![load(AUDIT)];
    program.extend(when(
        EQUAL,
        architecture.foreign.audit,
        foreign(&architecture.foreign, &io_uring),
    ));
    // Any other architecture is one that nobody knows here: let go.
    program.push(Instruction {
        code: EQUAL,
        then: 1,
        otherwise: 0,
        operand: architecture.audit,
    });
    program.extend(end(ALLOW));
    program.push(load(NUMBER));
    if architecture.has_x32 {
        let mut x32 = when(EQUAL, X32 | architecture.connect, end(HAND_OVER));
        x32.extend(when(EQUAL, X32 | IO_URING_SETUP, io_uring.clone()));
        x32.extend(end(ALLOW));
        program.extend(when(AT_LEAST, X32, x32));
    }
    program.extend(when(EQUAL, architecture.connect, end(HAND_OVER)));
    program.extend(when(EQUAL, IO_URING_SETUP, io_uring));
    if wanted.executions {
        program.extend(when(EQUAL, architecture.execve, end(HAND_OVER)));
        program.extend(when(EQUAL, architecture.execveat, end(HAND_OVER)));
    }
    let mut sendto = fast_open(3);
    if wanted.dns {
        for half in [low(4), high(4)] {
            sendto.push(load(half));
            sendto.push(Instruction {
                code: EQUAL,
                then: 1,
                otherwise: 0,
                operand: 0,
            });
            sendto.extend(end(HAND_OVER));
        }
    }
    sendto.extend(end(ALLOW));
    program.extend(when(EQUAL, architecture.sendto, sendto));
    for (number, flags) in [(architecture.sendmsg, 2), (architecture.sendmmsg, 3)] {
        let mut send = fast_open(flags);
        send.extend(end(ALLOW));
        program.extend(when(EQUAL, number, send));
    }
    program.extend(end(ALLOW));
    program
}

/// Hands over the 32-bit connects.
fn foreign(foreign: &Foreign, io_uring: &[Instruction]) -> Vec<Instruction> {
    let mut body = vec![load(NUMBER)];
    body.extend(when(EQUAL, foreign.connect, end(HAND_OVER)));
    body.extend(when(EQUAL, IO_URING_SETUP, io_uring.to_vec()));
    if let Some(number) = foreign.socketcall {
        let mut socketcall = vec![load(low(0))];
        socketcall.extend(when(EQUAL, 3, end(HAND_OVER)));
        socketcall.extend(end(ALLOW));
        body.extend(when(EQUAL, number, socketcall));
    }
    body.extend(end(ALLOW));
    body
}

/// Hands over a call whose flags, in this argument, have `MSG_FASTOPEN`.
fn fast_open(flags: u32) -> Vec<Instruction> {
    let mut body = vec![load(low(flags))];
    body.extend(when(ANY_BIT, FAST_OPEN, end(HAND_OVER)));
    body
}

fn load(offset: u32) -> Instruction {
    Instruction {
        code: LOAD,
        then: 0,
        otherwise: 0,
        operand: offset,
    }
}

fn end(action: u32) -> Vec<Instruction> {
    vec![Instruction {
        code: RETURN,
        then: 0,
        otherwise: 0,
        operand: action,
    }]
}

/// The body, if what was loaded last compares so with the operand; else what follows.
fn when(comparison: u16, operand: u32, body: Vec<Instruction>) -> Vec<Instruction> {
    let skip = u8::try_from(body.len()).expect("every body is a handful of instructions");
    let mut jump = vec![Instruction {
        code: comparison,
        then: 0,
        otherwise: skip,
        operand,
    }];
    jump.extend(body);
    jump
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does.
    fn run(program: &[Instruction], number: u32, audit: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [0_u8; 64];
        data[0..4].copy_from_slice(&number.to_le_bytes());
        data[4..8].copy_from_slice(&audit.to_le_bytes());
        for (index, argument) in arguments.iter().enumerate() {
            data[16 + 8 * index..][..8].copy_from_slice(&argument.to_le_bytes());
        }
        let (mut at, mut accumulator) = (0_usize, 0_u32);
        loop {
            let instruction = program[at];
            at += 1;
            let holds = match instruction.code {
                LOAD => {
                    let offset = instruction.operand as usize;
                    accumulator = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
                    continue;
                }
                RETURN => return instruction.operand,
                EQUAL => accumulator == instruction.operand,
                AT_LEAST => accumulator >= instruction.operand,
                ANY_BIT => accumulator & instruction.operand != 0,
                code => panic!("no such operation: {code:#x}"),
            };
            at += usize::from(if holds {
                instruction.then
            } else {
                instruction.otherwise
            });
        }
    }

    const EVERYTHING: Wanted = Wanted {
        dns: true,
        executions: true,
        refuse_io_uring: false,
    };

    fn both(check: impl Fn(&Architecture, &dyn Fn(u32, [u64; 6]) -> u32)) {
        for architecture in [X86_64, AARCH64] {
            let program = program(&architecture, EVERYTHING);
            check(&architecture, &|number, arguments| {
                run(&program, number, architecture.audit, arguments)
            });
        }
    }

    #[test]
    fn connects_are_handed_over_and_reads_are_not() {
        both(|architecture, run| {
            assert_eq!(run(architecture.connect, [3, 1, 28, 0, 0, 0]), HAND_OVER);
            assert_eq!(
                architecture.call(architecture.audit, architecture.connect),
                Call::Connect
            );
            for number in [0, 1, 63, 64, 202, 45, 43, 424, 426] {
                assert_eq!(run(number, [0; 6]), ALLOW, "{number}");
            }
        });
    }

    #[test]
    fn sends_are_handed_over_only_with_an_address_or_fast_open() {
        both(|architecture, run| {
            assert_eq!(run(architecture.sendto, [3, 9, 9, 0, 0, 0]), ALLOW);
            assert_eq!(run(architecture.sendto, [3, 9, 9, 0, 0x10, 16]), HAND_OVER);
            assert_eq!(
                run(architecture.sendto, [3, 9, 9, 0, 1 << 32, 16]),
                HAND_OVER
            );
            let fast = u64::from(FAST_OPEN);
            assert_eq!(run(architecture.sendto, [3, 9, 9, fast, 0, 0]), HAND_OVER);
            assert_eq!(run(architecture.sendmsg, [3, 9, fast, 0, 0, 0]), HAND_OVER);
            assert_eq!(run(architecture.sendmmsg, [3, 9, 1, fast, 0, 0]), HAND_OVER);
            assert_eq!(run(architecture.sendmsg, [3, 9, 0x4000, 0, 0, 0]), ALLOW);
            assert_eq!(run(architecture.sendmmsg, [3, 9, 2, 0x4000, 0, 0]), ALLOW);
        });
    }

    #[test]
    fn without_dns_and_executions_less_is_handed_over() {
        for architecture in [X86_64, AARCH64] {
            let program = program(&architecture, Wanted::default());
            let run = |number, arguments| run(&program, number, architecture.audit, arguments);
            assert_eq!(run(architecture.sendto, [3, 9, 9, 0, 0x10, 16]), ALLOW);
            assert_eq!(run(architecture.execve, [0; 6]), ALLOW);
            assert_eq!(run(architecture.connect, [0; 6]), HAND_OVER);
        }
    }

    #[test]
    fn calls_of_32_bit_programs_are_known_as_such() {
        let program = program(&X86_64, EVERYTHING);
        let i386 = X86_64.foreign.audit;
        assert_eq!(run(&program, 362, i386, [0; 6]), HAND_OVER);
        assert_eq!(run(&program, 102, i386, [3, 0, 0, 0, 0, 0]), HAND_OVER);
        assert_eq!(run(&program, 102, i386, [2, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(run(&program, 42, i386, [0; 6]), ALLOW, "42 is pipe there");
        assert_eq!(run(&program, X32 + 42, X86_64.audit, [0; 6]), HAND_OVER);
        assert_eq!(run(&program, X32 | 1, X86_64.audit, [0; 6]), ALLOW);
        assert_eq!(X86_64.call(i386, 362), Call::Foreign);
        assert_eq!(X86_64.call(X86_64.audit, X32 + 42), Call::Foreign);
        assert_eq!(
            run(&program, 42, 0x1234, [0; 6]),
            ALLOW,
            "nobody knows this one"
        );
        let program = super::program(&AARCH64, EVERYTHING);
        assert_eq!(run(&program, 283, AARCH64.foreign.audit, [0; 6]), HAND_OVER);
    }

    #[test]
    fn io_uring_is_counted_or_refused() {
        let refusing = Wanted {
            refuse_io_uring: true,
            ..EVERYTHING
        };
        for architecture in [X86_64, AARCH64] {
            for audit in [architecture.audit, architecture.foreign.audit] {
                let counting = program(&architecture, EVERYTHING);
                assert_eq!(run(&counting, 425, audit, [0; 6]), HAND_OVER);
                assert_eq!(architecture.call(audit, 425), Call::IoUringSetup);
                let refusing = program(&architecture, refusing);
                assert_eq!(run(&refusing, 425, audit, [0; 6]), NO_SUCH_CALL);
            }
        }
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[test]
    fn the_numbers_are_those_of_the_system_headers() {
        let native = Architecture::native().unwrap();
        let check = |ours: u32, theirs: libc::c_long| assert_eq!(i64::from(ours), theirs);
        check(native.connect, libc::SYS_connect);
        check(native.sendto, libc::SYS_sendto);
        check(native.sendmsg, libc::SYS_sendmsg);
        check(native.sendmmsg, libc::SYS_sendmmsg);
        check(native.execve, libc::SYS_execve);
        check(native.execveat, libc::SYS_execveat);
        check(IO_URING_SETUP, libc::SYS_io_uring_setup);
    }
}
