use super::*;
use twinstack_dns::{Data, Name, Record, Ttl};

const SERVER: &str = "192.0.2.53:53";
const PROCESS: u32 = 77;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn question(rtype: RecordType) -> Question {
    Question::new(Name::parse("www.lab.test.").unwrap(), rtype)
}

fn query(id: u16, rtype: RecordType) -> Query {
    Query::new(id, question(rtype))
}

fn answer(query: &Query) -> Response {
    let mut response = Response::to_query(query, Rcode::NOERROR);
    let data = match query.question.rtype {
        RecordType::A => Data::A("198.51.100.80".parse().unwrap()),
        _ => Data::Aaaa("2001:db8::80".parse().unwrap()),
    };
    response.answer = vec![Record {
        owner: query.question.name.clone(),
        ttl: Ttl::from_secs(300),
        data,
    }];
    response
}

/// A stub, and the numbers of the questions that it has sent on.
#[derive(Default)]
struct Scene {
    stub: Stub,
    asked: Vec<Upstream>,
}

impl Scene {
    fn query(&mut self, client: u64, process: u32, octets: &[u8], at: u64) -> Vec<Action> {
        let asked = Asked {
            client: Client(client),
            process,
            server: SERVER.parse().unwrap(),
            transport: Transport::Udp,
            octets,
        };
        self.stub.handle_query(asked, ms(at));
        self.actions()
    }

    fn respond(&mut self, index: usize, response: &Response, at: u64) -> Vec<Action> {
        let octets = response.to_bytes();
        self.stub
            .handle_response(self.asked[index], &octets, ms(at));
        self.actions()
    }

    fn wait(&mut self, until: u64) -> Vec<Action> {
        self.stub.handle_timeout(ms(until));
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        let actions: Vec<Action> = std::iter::from_fn(|| self.stub.poll_action()).collect();
        for action in &actions {
            if let Action::Ask { upstream, .. } = action
                && !self.asked.contains(upstream)
            {
                self.asked.push(*upstream);
            }
        }
        actions
    }
}

fn answers(actions: &[Action]) -> Vec<(u64, Response)> {
    let answer = |action: &Action| match action {
        Action::Answer { client, octets } => Some((client.0, Response::parse(octets).unwrap())),
        _ => None,
    };
    actions.iter().filter_map(answer).collect()
}

#[test]
fn a_missing_aaaa_costs_60_ms_after_the_a() {
    let mut scene = Scene::default();
    let (a, aaaa) = (query(1, RecordType::A), query(2, RecordType::AAAA));
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    scene.query(5, PROCESS, &aaaa.to_bytes(), 1);
    assert_eq!(
        scene.stub.deadline(),
        Some(LATEST),
        "nothing is bounded yet"
    );
    let told = answers(&scene.respond(0, &answer(&a), 20));
    assert_eq!(told, [(5, answer(&a))], "the A goes through as it is");
    assert_eq!(scene.stub.deadline(), Some(ms(80)));
    assert_eq!(scene.wait(79), []);
    let actions = scene.wait(80);
    let told = answers(&actions);
    assert_eq!(told.len(), 1);
    let empty = &told[0].1;
    assert_eq!((empty.id, empty.rcode), (2, Rcode::NOERROR));
    assert!(
        empty.recursion_available,
        "or glibc takes it for a lame referral"
    );
    assert!(
        empty.answer.is_empty() && empty.authority.is_empty(),
        "nothing to keep"
    );
    assert_eq!(empty.question, Some(question(RecordType::AAAA)));
    assert!(actions.contains(&Action::MadeUp {
        process: PROCESS,
        question: question(RecordType::AAAA),
        waited: ms(79),
    }));
}

#[test]
fn a_missing_a_costs_60_ms_as_well() {
    let mut scene = Scene::default();
    let (a, aaaa) = (query(1, RecordType::A), query(2, RecordType::AAAA));
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    scene.query(6, PROCESS, &aaaa.to_bytes(), 0);
    scene.respond(1, &answer(&aaaa), 10);
    assert_eq!(answers(&scene.wait(70))[0].0, 5);
}

#[test]
fn one_question_after_the_other_is_one_look_up_too() {
    let mut scene = Scene::default();
    let (a, aaaa) = (query(1, RecordType::A), query(2, RecordType::AAAA));
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    scene.respond(0, &answer(&a), 20);
    scene.query(5, PROCESS, &aaaa.to_bytes(), 30);
    assert_eq!(scene.stub.deadline(), Some(ms(90)));
    assert_eq!(answers(&scene.wait(90)).len(), 1);
}

#[test]
fn who_asks_only_for_aaaa_waits_for_it() {
    let mut scene = Scene::default();
    let (a, aaaa) = (query(1, RecordType::A), query(2, RecordType::AAAA));
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    scene.query(6, PROCESS + 1, &aaaa.to_bytes(), 0);
    scene.respond(0, &answer(&a), 20);
    assert_eq!(scene.wait(5000), [], "another process asked for A");
    let told = answers(&scene.respond(1, &answer(&aaaa), 6000));
    assert_eq!(told, [(6, answer(&aaaa))]);
}

#[test]
fn an_empty_or_failed_answer_bounds_nothing() {
    for rcode in [Rcode::NOERROR, Rcode::SERVFAIL, Rcode::NXDOMAIN] {
        let mut scene = Scene::default();
        let (a, aaaa) = (query(1, RecordType::A), query(2, RecordType::AAAA));
        scene.query(5, PROCESS, &a.to_bytes(), 0);
        scene.query(5, PROCESS, &aaaa.to_bytes(), 0);
        let told = answers(&scene.respond(0, &Response::to_query(&a, rcode), 20));
        assert_eq!(told[0].1.rcode, rcode, "it is passed on");
        assert_eq!(
            scene.wait(5000),
            [],
            "a slow AAAA of an IPv6-only name must not vanish"
        );
    }
}

#[test]
fn a_late_answer_serves_the_next_question() {
    let mut scene = Scene::default();
    let (a, aaaa) = (query(1, RecordType::A), query(2, RecordType::AAAA));
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    scene.query(5, PROCESS, &aaaa.to_bytes(), 0);
    scene.respond(0, &answer(&a), 20);
    scene.wait(80);
    assert_eq!(
        answers(&scene.respond(1, &answer(&aaaa), 1000)),
        [],
        "nobody waits for it"
    );
    let again = query(9, RecordType::AAAA);
    let actions = scene.query(8, PROCESS + 5, &again.to_bytes(), 101_000);
    let told = answers(&actions);
    assert_eq!((told[0].0, told[0].1.id), (8, 9));
    assert_eq!(
        told[0].1.answer[0].ttl,
        Ttl::from_secs(200),
        "it has grown older"
    );
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Learned { is_v6: true, .. }))
    );
    let actions = scene.query(8, PROCESS + 5, &again.to_bytes(), 302_000);
    assert!(answers(&actions).is_empty(), "and too old in the end");
}

#[test]
fn an_answer_that_never_comes_is_dropped_after_ten_seconds() {
    let mut scene = Scene::default();
    let aaaa = query(2, RecordType::AAAA);
    scene.query(5, PROCESS, &aaaa.to_bytes(), 0);
    assert_eq!(scene.wait(10_000), [Action::Drop(scene.asked[0])]);
    assert_eq!(scene.stub.deadline(), None);
}

#[test]
fn a_question_asked_again_goes_on_again() {
    let mut scene = Scene::default();
    let aaaa = query(2, RecordType::AAAA).to_bytes();
    let first = scene.query(5, PROCESS, &aaaa, 0);
    assert_eq!(scene.query(5, PROCESS, &aaaa, 2500), first);
    assert_eq!(scene.asked.len(), 1);
}

#[test]
fn what_is_not_understood_goes_through() {
    let mut scene = Scene::default();
    let octets = [7, 7, 0x28, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1];
    let actions = scene.query(5, PROCESS, &octets, 0);
    assert!(matches!(&actions[..], [Action::Ask { octets: sent, .. }] if sent[..] == octets));
    let reply = [7, 7, 0xa8, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    scene.stub.handle_response(scene.asked[0], &reply, ms(3));
    let answer = Action::Answer {
        client: Client(5),
        octets: reply.to_vec(),
    };
    assert!(scene.actions().contains(&answer));
}

#[test]
fn a_message_with_another_id_is_no_answer() {
    let mut scene = Scene::default();
    let a = query(1, RecordType::A);
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    let forged = answer(&query(3, RecordType::A));
    assert_eq!(scene.respond(0, &forged, 5), []);
    assert_eq!(answers(&scene.respond(0, &answer(&a), 6)).len(), 1);
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut scene = Scene::default();
    for client in 0..2 * u64::try_from(UNDER_WAY).unwrap() {
        scene.query(client, PROCESS, &query(1, RecordType::A).to_bytes(), client);
    }
    assert_eq!(scene.stub.waiting.len(), UNDER_WAY);
}

#[test]
fn a_server_that_cannot_be_reached_is_said_at_once() {
    let mut scene = Scene::default();
    let a = query(1, RecordType::A);
    scene.query(5, PROCESS, &a.to_bytes(), 0);
    scene.stub.handle_refusal(scene.asked[0]);
    let told = answers(&scene.actions());
    assert_eq!((told[0].0, told[0].1.rcode), (5, Rcode::SERVFAIL));
    assert!(!scene.stub.is_waiting(scene.asked[0]));
}

#[test]
fn a_client_that_hung_up_waits_for_nothing() {
    let mut scene = Scene::default();
    scene.query(5, PROCESS, &query(1, RecordType::A).to_bytes(), 0);
    scene.query(6, PROCESS, &query(2, RecordType::A).to_bytes(), 0);
    scene.stub.handle_gone(Client(5));
    assert_eq!(scene.actions(), [Action::Drop(scene.asked[0])]);
    assert!(scene.stub.is_waiting(scene.asked[1]));
}
