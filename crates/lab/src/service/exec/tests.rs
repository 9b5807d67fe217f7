use super::*;
use crate::service::tests::{Lab, PATIENCE, service};
use crate::world::model::ServiceKind;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Instant as Clock;

fn program(command: &[&str]) -> Service {
    let mut service = service(ServiceKind::Exec);
    service.exec = Some(Exec {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        files: BTreeMap::new(),
        certificate: vec![],
        ready_port: None,
        ready_within: PATIENCE,
    });
    service
}

fn exec(service: &mut Service) -> &mut Exec {
    service.exec.as_mut().unwrap()
}

/// A port that nobody listens on, on either family.
fn free_port() -> u16 {
    let listener = TcpListener::bind("[::]:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until `ready` gives something: the programs of these tests act on their own time.
async fn eventually<T>(ready: impl Fn() -> Option<T>) -> T {
    let begun = Clock::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing happened");
        sleep(ASK_EVERY).await;
    }
}

fn output(lab: &Lab) -> String {
    let file = lab.directory.path().join("host-0/service-0/output.log");
    std::fs::read_to_string(file).unwrap_or_default()
}

#[tokio::test]
async fn program_runs_in_its_directory_with_its_files_and_certificate() {
    let lab = Lab::new();
    let mut service = program(&["sh", "{dir}/etc/run.sh", "{address_v6}"]);
    exec(&mut service).files.insert(
        "etc/run.sh".to_owned(),
        "pwd; cat etc/text; ls {cert} {key} {ca}; head -n 1 {key}; echo $1 $PATH".to_owned(),
    );
    let files = &mut exec(&mut service).files;
    files.insert("etc/text".to_owned(), "events { }\n".to_owned());
    let mut running = lab.start(&service).await;
    let status = running.child.as_mut().unwrap().ended().await.unwrap();
    let output = output(&lab);
    assert!(status.success(), "{output}");
    let lines: Vec<&str> = output.lines().collect();
    let directory = lines[0];
    assert!(directory.ends_with("host-0/service-0"));
    assert_eq!(lines[1], "events { }");
    for (line, file) in lines[2..5].iter().zip(["ca", "cert", "key"]) {
        assert_eq!(*line, format!("{directory}/{file}.pem"));
    }
    assert_eq!(lines[5], "-----BEGIN PRIVATE KEY-----");
    assert!(lines[6].starts_with("::1 /"));
    assert!(lines[6].ends_with("/sbin"));
}

/// Name of a file in the program's directory that says where [`stand_in`] listens, one address a line.
const LISTEN: &str = "listen";

/// Not a test of anything: what this very binary does when one of the tests below starts it as the program. It
/// takes one address after the other and stays until it is killed; elsewhere it ends at once.
#[test]
fn stand_in() {
    let Ok(addresses) = std::fs::read_to_string(LISTEN) else {
        return;
    };
    let mut listeners = vec![];
    for address in addresses.lines() {
        std::thread::sleep(Duration::from_millis(200));
        listeners.push(TcpListener::bind(address).unwrap());
        println!("listening on {address}");
    }
    std::thread::sleep(PATIENCE * 5);
}

fn listening_on(addresses: &[SocketAddr]) -> Service {
    let binary = std::env::current_exe().unwrap();
    let name = concat!(module_path!(), "::stand_in")
        .split_once("::")
        .unwrap()
        .1;
    let mut service = program(&[&binary.to_string_lossy(), "--exact", name, "--nocapture"]);
    let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let files = &mut exec(&mut service).files;
    files.insert(LISTEN.to_owned(), lines.join("\n"));
    exec(&mut service).ready_port = Some(addresses[0].port());
    service
}

#[tokio::test]
async fn program_is_ready_when_every_address_answers() {
    let lab = Lab::new();
    let v4: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let v6 = SocketAddr::new("::1".parse().unwrap(), v4.port());
    let running = lab.start(&listening_on(&[v4, v6])).await;
    assert!(running.child.is_some());
    assert!(answers(v4).await);
    assert!(answers(v6).await);
}

#[tokio::test]
async fn program_that_listens_on_one_family_only_is_not_ready() {
    let lab = Lab::new();
    let v4: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let mut service = listening_on(&[v4]);
    exec(&mut service).ready_within = Duration::from_secs(2);
    let error = lab.refuses(&service).await;
    // The key as the world file spells it.
    assert!(error.hint().unwrap().contains("`ready-within`"));
    let error = error.to_string();
    let port = v4.port();
    let expected = format!("does not accept connections on [::1]:{port} after 2s; it wrote:\n");
    assert!(error.contains(&expected), "{error}");
    assert!(error.ends_with(&format!("listening on {v4}")), "{error}");
    service.families = vec![Family::V4];
    let again = lab.start(&service).await;
    assert!(again.child.is_some());
}

#[tokio::test]
async fn program_that_ends_early_is_an_error_with_its_last_words() {
    let lab = Lab::new();
    let script =
        "for i in $(seq 100); do echo line $i; done; printf 'bad\\033[2Jconfig' >&2; exit 3";
    let mut service = program(&["sh", "-c", script]);
    exec(&mut service).ready_port = Some(free_port());
    let begun = Clock::now();
    let error = lab.refuses(&service).await;
    assert!(begun.elapsed() < PATIENCE / 2);
    let text = error.to_string();
    assert!(
        text.contains("`sh` ended (exit status: 3) before it was ready; it wrote:\n"),
        "{text}"
    );
    assert!(text.ends_with("line 100\n  bad\u{fffd}[2Jconfig"), "{text}");
    assert!(!text.contains("line 86\n"), "{text}");
    assert!(error.hint().unwrap().contains("foreground"));
}

#[tokio::test]
async fn port_that_somebody_else_answers_on_does_not_make_a_dead_program_ready() {
    let lab = Lab::new();
    let taken = TcpListener::bind("[::]:0").unwrap();
    let service = program(&["false"]);
    let exec = service.exec.as_ref().unwrap();
    let directory = Directory::write(&lab.context, HostId(0), &service, exec, &[]);
    let mut program = Program::start(&directory.unwrap(), exec).unwrap();
    while program.ended().unwrap().is_none() {
        sleep(ASK_EVERY).await;
    }
    let port = taken.local_addr().unwrap().port();
    let waiting = [SocketAddr::new("::1".parse().unwrap(), port)];
    let error = wait(&mut program, exec, &waiting).await;
    assert!(matches!(error, Err(Problem::ProgramEnded { .. })));
}

#[tokio::test]
async fn missing_program_is_an_error_that_says_where_it_was_searched() {
    let lab = Lab::new();
    let error = lab.refuses(&program(&["no-such-program"])).await;
    let text = error.to_string();
    assert!(
        text.starts_with(
            "service `web` on host `www`: program `no-such-program` is not installed: it is in none of "
        ),
        "{text}"
    );
    assert!(text.contains("/usr/sbin"), "{text}");
    assert!(error.hint().unwrap().contains("install it"));
    let error = lab.refuses(&program(&["/no/such/program"])).await;
    assert!(matches!(*error.problem, Problem::ProgramNotFound { .. }));
}

#[tokio::test]
async fn file_that_cannot_be_started_is_an_error_with_the_reason() {
    let lab = Lab::new();
    let check = async |text: &str, command: &str, hint: &str| {
        let mut service = program(&[command]);
        exec(&mut service)
            .files
            .insert("run".to_owned(), text.to_owned());
        let error = lab.refuses(&service).await;
        assert!(error.to_string().contains("cannot start `"), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    };
    check("#!/no/such/interpreter\n", "./run", "interpreter").await;
    check("", "/etc/passwd", "executable").await;
}

#[tokio::test]
async fn impossible_exec_parts_are_refused() {
    let lab = Lab::new();
    let check = async |change: &dyn Fn(&mut Service), expected: &str| {
        let mut service = program(&["true"]);
        change(&mut service);
        let error = lab.refuses(&service).await;
        let text = error.to_string();
        assert_eq!(text, format!("service `web` on host `www`: {expected}"));
        assert!(error.hint().is_some(), "{text}");
    };
    check(
        &|s| s.exec = None,
        "is of kind `exec` but has no `exec` part",
    )
    .await;
    check(&|s| exec(s).command = vec![], "has an empty command").await;
    check(
        &|s| exec(s).command = vec![String::new()],
        "has an empty command",
    )
    .await;
    check(
        &|s| {
            exec(s).files.insert("../x".to_owned(), String::new());
        },
        "cannot have a file called `../x`",
    )
    .await;
    check(
        &|s| {
            exec(s).ready_port = Some(80);
            s.families = vec![];
        },
        "has no address to listen on",
    )
    .await;
}

/// State, process group and session of a process; a zombie counts as gone.
fn alive(id: u32) -> Option<(u32, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    (fields[0] != "Z").then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

#[tokio::test]
async fn program_has_a_session_of_its_own_and_ends_with_its_owner() {
    let lab = Lab::new();
    let service = program(&["sh", "-c", "sleep 60 & echo $!; wait"]);
    let running = lab.start(&service).await;
    let leader = running.child.as_ref().unwrap().id().unwrap();
    let worker: u32 = eventually(|| output(&lab).trim().parse().ok()).await;
    assert_eq!(alive(leader), Some((leader, leader)));
    assert_eq!(alive(worker), Some((leader, leader)));
    drop(running);
    eventually(|| (alive(leader).is_none() && alive(worker).is_none()).then_some(())).await;
}

#[test]
fn program_ends_with_the_thread_that_started_it() {
    let pid = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let lab = Lab::new();
            let running = lab.start(&program(&["sleep", "60"])).await;
            let pid = running.child.as_ref().unwrap().id().unwrap();
            // As in a thread that is killed: nobody gets to drop anything.
            std::mem::forget(running);
            pid
        })
    })
    .join()
    .unwrap();
    let begun = Clock::now();
    while alive(pid).is_some() {
        assert!(begun.elapsed() < PATIENCE, "the program lives on");
        std::thread::sleep(ASK_EVERY);
    }
}
