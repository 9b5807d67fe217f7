use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn pipe(change: impl FnOnce(&mut Direction)) -> Pipe {
    let mut direction = Direction::default();
    change(&mut direction);
    Pipe::new(&direction, 1, 0)
}

fn exit(fate: Fate) -> Duration {
    match fate {
        Fate::Leaves(exit, _) => exit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_without_properties_is_not_there() {
    let mut pipe = pipe(|_| {});
    assert_eq!(
        pipe.decide(Family::V6, 1500, 5 * MS),
        Fate::Leaves(5 * MS, Lane::V6)
    );
    assert_eq!(pipe.mtu(Family::V4), 1500);
    assert!(!pipe.acts_on_segments(Family::V4));
}

#[test]
fn families_have_their_own_delays() {
    let mut pipe = pipe(|direction| direction.v6.delay = 20 * MS);
    assert_eq!(
        pipe.decide(Family::V6, 1500, MS),
        Fate::Leaves(21 * MS, Lane::V6)
    );
    assert_eq!(
        pipe.decide(Family::V4, 1500, MS),
        Fate::Leaves(MS, Lane::V4)
    );
}

#[test]
fn what_needs_real_segments_is_known() {
    let needs = |change: fn(&mut Direction)| {
        let pipe = pipe(change);
        (
            pipe.acts_on_segments(Family::V4),
            pipe.acts_on_segments(Family::V6),
        )
    };
    assert_eq!(needs(|direction| direction.v6.loss = 0.1), (false, true));
    assert_eq!(
        needs(|direction| direction.v4.duplicate = 0.1),
        (true, false)
    );
    assert_eq!(needs(|direction| direction.v4.reorder = 0.1), (true, false));
    assert_eq!(needs(|direction| direction.rate = Some(1)), (true, true));
    assert_eq!(needs(|direction| direction.v4.jitter = MS), (false, false));
}

#[test]
fn a_rate_sends_one_packet_after_the_other() {
    // 1500 bytes at 12 Mbit/s take one millisecond.
    let mut pipe = pipe(|direction| {
        direction.rate = Some(12_000_000);
        direction.v6.delay = 10 * MS;
    });
    assert_eq!(exit(pipe.decide(Family::V6, 1500, MS)), 12 * MS);
    assert_eq!(exit(pipe.decide(Family::V6, 1500, MS)), 13 * MS);
    assert_eq!(exit(pipe.decide(Family::V4, 1500, MS)), 4 * MS);
    assert_eq!(exit(pipe.decide(Family::V4, 1500, 50 * MS)), 51 * MS);
}

#[test]
fn a_full_queue_drops_and_drains() {
    let mut pipe = pipe(|direction| direction.rate = Some(12_000_000));
    let sent = (0..1000)
        .take_while(|_| pipe.decide(Family::V6, 1500, MS) != Fate::Overflow)
        .count();
    // 100 ms of queue hold 100 packets, and one is being sent.
    assert_eq!(sent, 101);
    assert_eq!(pipe.decide(Family::V4, 1500, MS), Fate::Overflow);
    assert_eq!(exit(pipe.decide(Family::V6, 1500, 3 * MS)), 103 * MS);
}

#[test]
fn a_slow_line_still_holds_some_packets() {
    let mut pipe = pipe(|direction| direction.rate = Some(64_000));
    let sent = (0..1000)
        .take_while(|_| pipe.decide(Family::V6, 1514, MS) != Fate::Overflow)
        .count();
    assert_eq!(sent, 33);
}

#[test]
fn overtakers_leave_at_once_and_do_not_delay_others() {
    let mut pipe = pipe(|direction| {
        direction.v6.delay = 20 * MS;
        direction.v6.reorder = 0.25;
    });
    let fates: Vec<_> = (0..1000)
        .map(|_| pipe.decide(Family::V6, 100, MS))
        .collect();
    let count = |fate| fates.iter().filter(|found| **found == fate).count();
    let early = count(Fate::Leaves(MS, Lane::Express));
    assert!((200..300).contains(&early), "{early}");
    assert_eq!(early + count(Fate::Leaves(21 * MS, Lane::V6)), 1000);
}

#[test]
fn losses_and_duplicates_have_their_shares() {
    let mut pipe = pipe(|direction| {
        direction.v6.loss = 0.1;
        direction.v6.duplicate = 0.3;
    });
    let lost = (0..10_000)
        .filter(|_| pipe.decide(Family::V6, 100, MS) == Fate::Lost)
        .count();
    assert!((900..1100).contains(&lost), "{lost}");
    let twice = (0..10_000).filter(|_| pipe.duplicates(Family::V6)).count();
    assert!((2850..3150).contains(&twice), "{twice}");
    assert!(!(0..1000).any(|_| pipe.duplicates(Family::V4)));
}

proptest! {
    #[test]
    fn packets_of_a_lane_keep_their_order(
        steps in prop::collection::vec((0u64..5_000, any::<bool>(), 40usize..1514), 1..100),
        rate in prop::option::of(100_000u64..1_000_000_000),
        jitter in 0u64..50,
        reorder in 0.0..1.0_f64,
    ) {
        let mut pipe = pipe(|direction| {
            direction.rate = rate;
            for side in [&mut direction.v4, &mut direction.v6] {
                side.delay = 10 * MS;
                side.jitter = Duration::from_millis(jitter);
                side.reorder = reorder;
            }
        });
        let mut now = Duration::ZERO;
        let mut last = [Duration::ZERO; 3];
        for (step, is_v6, length) in steps {
            now += Duration::from_micros(step);
            let family = if is_v6 { Family::V6 } else { Family::V4 };
            if let Fate::Leaves(exit, lane) = pipe.decide(family, length, now) {
                let last = &mut last[match lane { Lane::V4 => 0, Lane::V6 => 1, Lane::Express => 2 }];
                prop_assert!(exit >= *last && exit >= now);
                *last = exit;
                if lane != Lane::Express {
                    prop_assert!(exit >= now + 10 * MS);
                }
            }
        }
    }
}
