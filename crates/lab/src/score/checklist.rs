//! The checklist: what a client of Happy Eyeballs version 3 (draft-ietf-happy-happyeyeballs-v3, editor's copy of
//! 2026-07-30) must, should and may do, and what we ask beyond it.

use serde::Serialize;

/// One requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number in the list, such as `D3`.
    pub id: &'static str,
    /// How much it binds.
    pub level: Level,
    /// What is asked for.
    pub text: &'static str,
    /// Why packets never tell, for items that no run can show.
    pub hidden: Option<&'static str>,
}

/// How much a requirement binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The draft says MUST.
    Must,
    /// The draft says SHOULD or RECOMMENDED.
    Should,
    /// The draft says MAY.
    May,
    /// The draft does not ask for it; we do.
    Goal,
}

impl Level {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Goal => "goal",
        }
    }
}

const NAT64: &str = "none of these worlds has NAT64";
const HISTORY: &str = "every run is a new process that asks for a name it has never seen";
const GROUPS: &str = "none of these worlds offers more than one service";
const PROTECTED: &str = "the DNS of these worlds is not protected";
const INSIDE: &str = "does not leave the program";

const fn seen(id: &'static str, level: Level, text: &'static str) -> Item {
    Item {
        id,
        level,
        text,
        hidden: None,
    }
}

const fn unseen(id: &'static str, level: Level, text: &'static str, why: &'static str) -> Item {
    Item {
        id,
        level,
        text,
        hidden: Some(why),
    }
}

use Level::{Goal, May, Must, Should};

/// All of it, in order.
pub static CHECKLIST: &[Item] = &[
    seen("A1", Must, "asks for AAAA when there is IPv6"),
    seen("A2", Must, "asks for A when there is IPv4"),
    unseen(
        "A3",
        Must,
        "asks for A also when a NAT64 prefix is known",
        NAT64,
    ),
    seen("A4", Should, "asks for HTTPS records when it speaks HTTP"),
    seen(
        "A5",
        Should,
        "asks back to back, in the order HTTPS, AAAA, A",
    ),
    seen("A6", Goal, "asks for no family that it does not have"),
    unseen(
        "A7",
        Should,
        "asks name servers over IPv6 first",
        "the order of the servers is the system's",
    ),
    seen("A8", Goal, "asks nothing for an address"),
    unseen(
        "A9",
        Should,
        "without an asynchronous API, asks for each type in parallel",
        "which API it uses does not show",
    ),
    seen("B1", Should, "never waits for all answers"),
    seen(
        "B2",
        Should,
        "starts once the preferred family and the service are known",
    ),
    seen(
        "B3",
        Should,
        "otherwise starts after the resolution delay (50 ms recommended)",
    ),
    seen("B4", Should, "prefers IPv6 where both families are there"),
    seen(
        "B5",
        Should,
        "takes address hints of HTTPS records for answers",
    ),
    seen("B6", Must, "asks for A and AAAA although there are hints"),
    unseen(
        "B7",
        Should,
        "follows HTTPS records in alias mode",
        "none of these worlds has such a record",
    ),
    seen("B8", Should, "takes an empty answer for a negative one"),
    unseen(
        "B9",
        Goal,
        "counts the resolution delay from the first positive address answer",
        "differs only in races of HTTPS, A and AAAA that these worlds do not have",
    ),
    unseen(
        "B10",
        May,
        "asks again when records expire while it dials",
        "no run lasts as long as a record",
    ),
    unseen("B11", May, "uses expired answers at once", HISTORY),
    unseen(
        "B12",
        Should,
        "goes on listening to the DNS for a second after success",
        INSIDE,
    ),
    unseen("C1", Should, "groups by protocol and security", GROUPS),
    unseen(
        "C2",
        Should,
        "does not group by what is not critical",
        GROUPS,
    ),
    unseen(
        "C3",
        Should,
        "groups by service, lowest priority value first",
        GROUPS,
    ),
    unseen("C4", Should, "shuffles services of equal priority", GROUPS),
    unseen("C5", Should, "puts addresses of no service last", GROUPS),
    seen("C6", Must, "sorts destinations by RFC 6724"),
    unseen(
        "C7",
        Should,
        "a client with memory puts lower round-trip times first",
        HISTORY,
    ),
    unseen(
        "C8",
        Must,
        "keeps memory apart by privacy boundary",
        HISTORY,
    ),
    unseen("C9", Must, "uses no memory of another network", HISTORY),
    unseen(
        "C10",
        Must,
        "clients with different memory converge",
        HISTORY,
    ),
    seen("C11", Should, "interlaces the families"),
    unseen(
        "C12",
        Should,
        "tries no endpoint without a protocol in common",
        GROUPS,
    ),
    unseen(
        "C13",
        Should,
        "obeys both Alt-Svc and service records",
        HISTORY,
    ),
    unseen(
        "C14",
        Goal,
        "knows the update of RFC 6724",
        "none of these worlds has unique local addresses",
    ),
    seen(
        "D1",
        Should,
        "starts one attempt at a time and lets earlier ones run on",
    ),
    seen(
        "D2",
        Should,
        "waits 250 ms between attempts, unless it knows the round-trip time",
    ),
    seen("D3", Must, "never starts two attempts within 10 ms"),
    seen(
        "D4",
        Should,
        "never waits less than 100 ms between attempts",
    ),
    seen("D5", Should, "never waits more than 2 s between attempts"),
    seen(
        "D6",
        Goal,
        "starts the next attempt when one failed, but not within 10 ms",
    ),
    unseen(
        "D7",
        Should,
        "uses the same delay for resumed sessions",
        HISTORY,
    ),
    unseen(
        "D8",
        Should,
        "waits longer for an attempt that makes progress",
        "with these round-trip times it makes no difference",
    ),
    unseen(
        "D9",
        Should,
        "starts all endpoints of a better service first",
        GROUPS,
    ),
    unseen(
        "D10",
        May,
        "pulls the next attempt in when the DNS changes",
        "permitted, and so not judged",
    ),
    seen("D11", Goal, "lets the delay grow from attempt to attempt"),
    seen("D12", Goal, "limits attempts at one time"),
    unseen(
        "D13",
        Goal,
        "paces dials to the same host",
        "every run dials once",
    ),
    unseen(
        "D14",
        Goal,
        "does not divide its patience by the number of addresses",
        "would need runs of minutes",
    ),
    seen("E1", Should, "has connected only when TLS has"),
    unseen("E2", Goal, "lets the caller add a check", INSIDE),
    seen("E3", Should, "starts nothing more once it has connected"),
    unseen("E4", Goal, "closes a late second connection", INSIDE),
    unseen("E5", Goal, "a dropped dial cancels everything", INSIDE),
    unseen("E6", Goal, "tells every attempt's error", INSIDE),
    unseen(
        "E7",
        Should,
        "retries once with the server's ECH configuration",
        "no server of these worlds offers ECH",
    ),
    unseen(
        "F1",
        Must,
        "on protected DNS waits for the service record",
        PROTECTED,
    ),
    unseen(
        "F2",
        Should,
        "on protected DNS gives up when the service record fails",
        PROTECTED,
    ),
    unseen(
        "F3",
        Must,
        "on protected DNS sends nothing in the clear before the service record",
        PROTECTED,
    ),
    unseen(
        "F4",
        Must,
        "waits for the service record when it relies on ECH",
        PROTECTED,
    ),
    unseen("F5", May, "on other DNS need not wait", PROTECTED),
    seen(
        "G1",
        Should,
        "sorts everything again when new addresses come",
    ),
    unseen(
        "G2",
        Should,
        "drops what has vanished from the DNS",
        "no answer of these worlds takes an address back",
    ),
    unseen(
        "G3",
        Should,
        "drops hints that the DNS does not confirm",
        "all hints of these worlds are true",
    ),
    unseen(
        "G4",
        Should,
        "a new answer alone does not move the timer",
        "does not show apart from the delay itself",
    ),
    unseen("N1", Should, "learns the NAT64 prefix", NAT64),
    unseen("N2", Must, "asks for A and AAAA once it is known", NAT64),
    unseen("N3", Must, "turns synthesised AAAA back into IPv4", NAT64),
    unseen("N4", Must, "synthesises addresses for IPv4 targets", NAT64),
    unseen(
        "N5",
        Goal,
        "synthesises none for addresses that make no sense there",
        NAT64,
    ),
    unseen("N6", Goal, "forgets the prefix with the network", NAT64),
    unseen("N7", Goal, "leaves hosts with a CLAT alone", NAT64),
    unseen(
        "P1",
        Goal,
        "notices a path-MTU fault after connecting",
        "no packet of these worlds is too large",
    ),
    unseen(
        "P2",
        Goal,
        "reports families that are lost in silence",
        INSIDE,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_has_seventy_four_items_of_the_known_levels() {
        let count = |level| CHECKLIST.iter().filter(|item| item.level == level).count();
        assert_eq!([Must, Should, May, Goal].map(count), [15, 37, 4, 18]);
        let ids: BTreeSet<&str> = CHECKLIST.iter().map(|item| item.id).collect();
        assert_eq!(ids.len(), CHECKLIST.len());
    }

    #[test]
    fn ids_and_levels_are_those_that_our_own_dialer_is_held_to() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../race/CHECKLIST.md");
        let list = std::fs::read_to_string(path).unwrap();
        let rows: Vec<(&str, &str)> = list
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                Some((cells.next()?, cells.next()?))
            })
            .filter(|(id, _)| id.ends_with(|last: char| last.is_ascii_digit()))
            .collect();
        let ours: Vec<(&str, &str)> = CHECKLIST
            .iter()
            .map(|item| (item.id, item.level.as_str()))
            .collect();
        assert_eq!(ours, rows);
    }
}
