//! Services: the keys that their kind has, the usual values for what is not written, and one face for each family.

use super::host::program;
use super::network::translation_prefix;
use crate::world::diagnose::At;
use crate::world::file::{Entry, Node};
use crate::world::keys::{self, FACE, PAGE, SERVICE};
use crate::world::model::{
    Exec, Face, Family, Host, Page, Recursive, Service, ServiceKind, TlsVersion,
};
use crate::world::read::{Fields, Reader};
use crate::world::scalar;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Reads the services of a host into it; whether one of them is an authoritative name server that is switched off.
pub(super) fn services(reader: &mut Reader<'_>, node: Option<&Node>, host: &mut Host) -> bool {
    let mut taken = Ports::default();
    let mut silenced = false;
    for entry in reader.entries(node) {
        if let Err(refusal) = scalar::label(&entry.key) {
            reader.refused(entry.key_at, refusal);
        }
        let fields = reader.fields(&entry.value, &SERVICE);
        let Some(kind) = kind(reader, &fields, entry.key_at) else {
            continue;
        };
        let disabled = reader.flag(fields.get("disabled")).unwrap_or(false);
        let service = service(reader, &fields, kind, entry, host);
        if disabled {
            silenced |= kind == ServiceKind::DnsAuthoritative;
            continue;
        }
        taken.take(reader, &service, host, entry.key_at);
        host.services.push(service);
    }
    silenced
}

fn kind(reader: &mut Reader<'_>, fields: &Fields<'_>, at: At) -> Option<ServiceKind> {
    if fields.get("kind").is_none() {
        reader.problems.add_with_hint(
            at,
            "it is not said what kind of service this is",
            "write `kind: https`, for example",
        );
    }
    reader.word(fields, "kind")
}

fn service(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    kind: ServiceKind,
    entry: &Entry,
    host: &Host,
) -> Service {
    belonging(reader, fields, kind, &entry.key);
    let port = reader.number(fields, "port").or(match kind {
        ServiceKind::Http => Some(80),
        ServiceKind::Https | ServiceKind::Quic => Some(443),
        ServiceKind::Smtp => Some(25),
        ServiceKind::Echo => Some(7),
        ServiceKind::DnsAuthoritative | ServiceKind::DnsRecursive => Some(53),
        ServiceKind::Silent | ServiceKind::Exec => None,
    });
    if port.is_none() && kind == ServiceKind::Silent && fields.get("port").is_none() {
        reader
            .problems
            .add(entry.key_at, "a silent service needs a `port`");
    }
    let families = reader.words(fields, "families");
    let (v4, v6) = faces(reader, fields, kind, &host.name);
    Service {
        name: entry.key.clone(),
        kind,
        listen: listen(reader, fields.get("listen"), host),
        dual_socket: reader.flag(fields.get("dual-socket")).unwrap_or(false),
        families: if families.is_empty() {
            vec![Family::V4, Family::V6]
        } else {
            families
        },
        // An exec service opens what it likes.
        port: port.unwrap_or(0),
        v4,
        v6,
        exec: (kind == ServiceKind::Exec).then(|| exec(reader, fields, entry.key_at)),
        recursive: (kind == ServiceKind::DnsRecursive)
            .then(|| recursive(reader, fields, entry.key_at)),
    }
}

/// Reports keys that this kind of service does not have.
fn belonging(reader: &mut Reader<'_>, fields: &Fields<'_>, kind: ServiceKind, name: &str) {
    const ALWAYS: [&str; 5] = ["kind", "disabled", "port", "listen", "families"];
    let own = keys::service_keys(kind);
    let has_face = own.iter().any(|key| FACE.key(key).is_some());
    let foreign = |key: &str| !own.contains(&key);
    let mut wrong = Vec::new();
    for entry in fields.entries() {
        let key = entry.key.as_str();
        let known = SERVICE.key(key).is_some();
        if matches!(key, "v4" | "v6") && has_face {
            // Unknown keys inside are reported when the face is read.
            let inside = reader.fields_again(&entry.value, &FACE);
            wrong.extend(
                inside
                    .entries()
                    .filter(|inner| foreign(&inner.key) && FACE.key(&inner.key).is_some()),
            );
        } else if known && !ALWAYS.contains(&key) && foreign(key) {
            wrong.push(entry);
        }
    }
    for entry in wrong {
        reader.problems.add_with_hint(
            entry.key_at,
            format!(
                "`{}` does not apply to `{name}`, which is of the kind `{}`",
                entry.key,
                kind_name(kind)
            ),
            if own.is_empty() {
                "that kind has no keys of its own".to_owned()
            } else {
                format!("keys of that kind: {}", own.join(", "))
            },
        );
    }
}

/// The word of the file for a kind.
fn kind_name(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Http => "http",
        ServiceKind::Https => "https",
        ServiceKind::Quic => "quic",
        ServiceKind::Echo => "echo",
        ServiceKind::Silent => "silent",
        ServiceKind::Smtp => "smtp",
        ServiceKind::DnsAuthoritative => "dns-authoritative",
        ServiceKind::DnsRecursive => "dns-recursive",
        ServiceKind::Exec => "exec",
    }
}

fn listen(reader: &mut Reader<'_>, node: Option<&Node>, host: &Host) -> Vec<IpAddr> {
    reader.each(node, |reader, node| {
        let address = reader.address(node)?;
        let own = host
            .interfaces
            .iter()
            .any(|interface| interface.addresses.contains(&address));
        if !own {
            reader.problems.add(
                node.at,
                format!("`{address}` is no address of the host `{}`", host.name),
            );
        }
        own.then_some(address)
    })
}

/// The flat keys hold for both families, those under `v4` and `v6` only for one.
fn faces(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    kind: ServiceKind,
    host: &str,
) -> (Face, Face) {
    let mut face = Face {
        pages: BTreeMap::new(),
        server: "twinstack-lab".to_owned(),
        headers: BTreeMap::new(),
        certificate: Vec::new(),
        alpn: usual_alpn(kind),
        tls_max: TlsVersion::V13,
        stall: None,
        delay: Duration::ZERO,
        deny_mapped: false,
        banner: host.to_owned(),
    };
    change_face(reader, fields, &mut face);
    let mut of_family = |key| {
        let mut face = face.clone();
        let narrow = reader.sub(fields, key, &FACE);
        change_face(reader, &narrow, &mut face);
        if face.pages.is_empty() && matches!(kind, ServiceKind::Http | ServiceKind::Https) {
            let body = format!("<!doctype html>\n<title>{host}</title>\n<h1>{host}</h1>\n");
            let page = Page {
                body,
                ..blank_page()
            };
            face.pages.insert("/".to_owned(), page);
        }
        face
    };
    let v4 = of_family("v4");
    (v4, of_family("v6"))
}

fn usual_alpn(kind: ServiceKind) -> Vec<String> {
    let protocols: &[&str] = match kind {
        ServiceKind::Https => &["h2", "http/1.1"],
        ServiceKind::Quic => &["h3"],
        _ => &[],
    };
    protocols.iter().map(|&name| name.to_owned()).collect()
}

fn change_face(reader: &mut Reader<'_>, fields: &Fields<'_>, face: &mut Face) {
    for entry in reader.entries(fields.get("pages")) {
        if !entry.key.starts_with('/') {
            reader.problems.add(
                entry.key_at,
                format!("`{}` is no path: it does not start with `/`", entry.key),
            );
        }
        let fields = reader.fields(&entry.value, &PAGE);
        let page = face
            .pages
            .entry(entry.key.clone())
            .or_insert_with(blank_page);
        change_page(reader, &fields, page);
    }
    for entry in reader.entries(fields.get("headers")) {
        if let Some(value) = reader.text(&entry.value) {
            header(reader, entry, value);
            face.headers.insert(entry.key.clone(), value.to_owned());
        }
    }
    let mut text = |key| {
        let node: Option<&Node> = fields.get(key);
        node.and_then(|node| reader.text(node).map(str::to_owned))
    };
    if let Some(server) = text("server") {
        face.server = server;
    }
    if let Some(banner) = text("banner") {
        face.banner = banner;
    }
    if fields.get("certificate").is_some() {
        face.certificate = reader.texts(fields.get("certificate"));
    }
    if fields.get("alpn").is_some() {
        face.alpn = reader.texts(fields.get("alpn"));
    }
    if let Some(version) = reader.word(fields, "tls-max") {
        face.tls_max = version;
    }
    if let Some(stall) = reader.word(fields, "stall") {
        face.stall = Some(stall);
    }
    if let Some(delay) = reader.duration(fields.get("delay")) {
        face.delay = delay;
    }
    if let Some(deny) = reader.flag(fields.get("deny-mapped")) {
        face.deny_mapped = deny;
    }
}

/// What HTTP cannot send as a header (RFC 9110 section 5) is refused here, not in the middle of a response.
fn header(reader: &mut Reader<'_>, entry: &Entry, value: &str) {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if entry.key.is_empty() || !entry.key.chars().all(token) {
        let message = format!("`{}` is no header name", entry.key.escape_debug());
        reader.problems.add(entry.key_at, message);
    }
    if value.chars().any(char::is_control) {
        reader
            .problems
            .add(entry.value.at, "a header is one line of text");
    }
}

fn blank_page() -> Page {
    Page {
        status: 200,
        content_type: "text/html; charset=utf-8".to_owned(),
        body: String::new(),
        size: 0,
        location: None,
    }
}

fn change_page(reader: &mut Reader<'_>, fields: &Fields<'_>, page: &mut Page) {
    if let Some(status) = reader.number(fields, "status") {
        page.status = status;
    }
    if let Some(size) = reader.number(fields, "size") {
        page.size = size;
    }
    let mut text = |key| {
        let node: Option<&Node> = fields.get(key);
        node.and_then(|node| reader.text(node).map(str::to_owned))
    };
    if let Some(content_type) = text("type") {
        page.content_type = content_type;
    }
    if let Some(body) = text("body") {
        page.body = body;
    }
    if let Some(location) = text("location") {
        page.location = Some(location);
    }
}

fn exec(reader: &mut Reader<'_>, fields: &Fields<'_>, at: At) -> Exec {
    let command = reader.texts(fields.get("command"));
    program(
        reader,
        &command,
        fields.get("command").map_or(at, |node| node.at),
    );
    let mut files = BTreeMap::new();
    for entry in reader.entries(fields.get("files")) {
        let inside = !entry.key.is_empty()
            && !entry.key.starts_with('/')
            && entry
                .key
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."))
            && !entry.key.contains('\0');
        if !inside {
            reader.problems.add_with_hint(
                entry.key_at,
                format!(
                    "`{}` is no file name inside `{{dir}}`",
                    entry.key.escape_debug()
                ),
                "write one such as `etc/named.conf`",
            );
        }
        if let Some(text) = reader.text(&entry.value) {
            files.insert(entry.key.clone(), text.to_owned());
        }
    }
    Exec {
        command,
        files,
        certificate: reader.texts(fields.get("certificate")),
        ready_port: reader.number(fields, "ready-port"),
        ready_within: reader
            .duration(fields.get("ready-within"))
            .unwrap_or(Duration::from_secs(10)),
    }
}

fn recursive(reader: &mut Reader<'_>, fields: &Fields<'_>, at: At) -> Recursive {
    let root = reader.addresses(fields.get("root"));
    if root.is_empty() {
        reader.problems.add_with_hint(
            at,
            "this resolver knows no root servers",
            "write `root:` with their addresses",
        );
    }
    Recursive {
        root,
        dns64: fields
            .get("dns64")
            .and_then(|node| translation_prefix(reader, node)),
        cache: reader.flag(fields.get("cache")).unwrap_or(true),
        doh: fields
            .get("doh")
            .and_then(|node| reader.text(node))
            .map(str::to_owned),
    }
}

/// The sockets that services of one host already have.
#[derive(Default)]
struct Ports(BTreeMap<(Transport, u16, IpAddr), String>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Tcp,
    Udp,
}

impl Ports {
    fn take(&mut self, reader: &mut Reader<'_>, service: &Service, host: &Host, at: At) {
        let mut first = None;
        for socket in sockets(service, host) {
            match self.0.get(&socket) {
                Some(other) if first.is_none() => first = Some((other.clone(), socket)),
                Some(_) => {}
                None => {
                    self.0.insert(socket, service.name.clone());
                }
            }
        }
        if let Some((other, (transport, port, address))) = first {
            let transport = match transport {
                Transport::Tcp => "TCP",
                Transport::Udp => "UDP",
            };
            reader.problems.add(
                at,
                format!("`{other}` already listens on {transport} port {port} of `{address}`"),
            );
        }
    }
}

fn sockets(service: &Service, host: &Host) -> BTreeSet<(Transport, u16, IpAddr)> {
    let mut ports = match service.kind {
        ServiceKind::Exec => vec![],
        ServiceKind::Quic => vec![(Transport::Udp, service.port)],
        ServiceKind::DnsAuthoritative | ServiceKind::DnsRecursive => {
            vec![
                (Transport::Udp, service.port),
                (Transport::Tcp, service.port),
            ]
        }
        _ => vec![(Transport::Tcp, service.port)],
    };
    if service.recursive.as_ref().is_some_and(|r| r.doh.is_some()) {
        ports.push((Transport::Tcp, 443));
    }
    let everywhere = host
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses);
    let addresses: Vec<_> = everywhere
        .filter(|address| service.listen.is_empty() || service.listen.contains(address))
        .filter(|address| service.families.contains(&Family::of(**address)))
        .collect();
    ports
        .into_iter()
        .flat_map(|(transport, port)| {
            addresses
                .iter()
                .map(move |address| (transport, port, **address))
        })
        .collect()
}
