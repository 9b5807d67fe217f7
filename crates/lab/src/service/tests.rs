//! What the tests of all services share: a world of one host on the loopback addresses, and clients.

use super::*;
use crate::world::model::{
    CheckPlan, Host, Interface, Link, Network, NetworkId, Page, Prefix, TlsVersion,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::header::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Long enough for an answer on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough to be sure that there is no answer coming.
pub(crate) const SILENCE: Duration = Duration::from_millis(200);

pub(crate) const HOST: HostId = HostId(0);

/// A lab of one host with 127.0.0.1 and ::1.
pub(crate) struct Lab {
    pub(crate) context: Arc<Context>,
    pub(crate) directory: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()])
    }

    pub(crate) fn with(addresses: Vec<IpAddr>) -> Self {
        Self::of(world(addresses))
    }

    pub(crate) fn of(world: World) -> Self {
        let directory = TempDir::new().unwrap();
        Self {
            context: Arc::new(Context {
                names: dns::NameData::new(&world),
                world: Arc::new(world),
                authority: CertificateAuthority::generate().unwrap(),
                directory: directory.path().to_owned(),
            }),
            directory,
        }
    }

    /// Puts a service into the world's file, without starting it.
    pub(crate) fn add(&mut self, service: Service) {
        let context = Arc::get_mut(&mut self.context).unwrap();
        let world = Arc::get_mut(&mut context.world).unwrap();
        world.hosts[HOST.0].services.push(service);
    }

    pub(crate) async fn start(&self, service: &Service) -> Running {
        start(&self.context, HOST, service).await.unwrap()
    }

    pub(crate) async fn refuses(&self, service: &Service) -> ServiceError {
        start(&self.context, HOST, service).await.unwrap_err()
    }

    /// A TLS client that trusts the lab's root.
    pub(crate) fn tls_client(
        &self,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.context.authority.bundle().as_bytes());
        roots.add(root.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    pub(crate) async fn tls(
        &self,
        address: SocketAddr,
        name: &str,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = self.tls_client(alpn, rustls::ALL_VERSIONS);
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

pub(crate) fn world(addresses: Vec<IpAddr>) -> World {
    World {
        name: "loopback".to_owned(),
        summary: String::new(),
        seed: 0,
        needs: Vec::new(),
        networks: vec![Network {
            name: "loopback".to_owned(),
            v4: Some(Prefix {
                address: "127.0.0.0".parse().unwrap(),
                length: 8,
            }),
            v6: None,
            gateway_v4: None,
            gateway_v6: None,
            uplink: Link::default(),
            nat64: None,
        }],
        hosts: vec![Host {
            name: "www".to_owned(),
            interfaces: vec![Interface {
                network: NetworkId(0),
                addresses,
                link: Link::default(),
                dad_failed: vec![],
            }],
            nameservers: vec![],
            search: vec![],
            hosts_file: vec![],
            sysctls: BTreeMap::new(),
            setup: vec![],
            services: vec![],
        }],
        filters: vec![],
        zones: vec![],
        dns_rules: vec![],
        check: CheckPlan {
            host: HOST,
            target: "www.lab.test".to_owned(),
            arguments: vec![],
        },
        expect: vec![],
        near_miss_of: vec![],
        client: HOST,
    }
}

/// A service on a free port of both loopback addresses, with one page.
pub(crate) fn service(kind: ServiceKind) -> Service {
    Service {
        name: "web".to_owned(),
        kind,
        listen: vec![],
        dual_socket: false,
        families: vec![Family::V4, Family::V6],
        port: 0,
        v4: face_with_page("hello"),
        v6: face_with_page("hello"),
        exec: None,
        recursive: None,
    }
}

/// The same on the loopback addresses only.
pub(crate) fn on_loopback(kind: ServiceKind) -> Service {
    let mut service = service(kind);
    service.listen = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    service
}

pub(crate) fn face_with_page(body: &str) -> Face {
    Face {
        pages: BTreeMap::from([("/".to_owned(), page(body))]),
        server: "lab".to_owned(),
        headers: BTreeMap::new(),
        certificate: vec![],
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        tls_max: TlsVersion::V13,
        stall: None,
        delay: Duration::ZERO,
        deny_mapped: false,
        banner: "mail.lab.test".to_owned(),
    }
}

pub(crate) fn page(body: &str) -> Page {
    Page {
        status: 200,
        content_type: "text/html".to_owned(),
        body: body.to_owned(),
        size: 0,
        location: None,
    }
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Asks one question over HTTP/1.1 or HTTP/2.
pub(crate) async fn ask<T>(stream: T, method: &str, url: &str, http2: bool) -> hyper::Result<Reply>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("host", "www.lab.test")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let io = TokioIo::new(stream);
    let response = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    })
}

/// Gets a page over plain HTTP/1.1.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    ask(stream, "GET", path, false).await.unwrap()
}

#[tokio::test]
async fn taken_port_is_an_error_that_names_everything() {
    let lab = Lab::new();
    let first = lab.start(&on_loopback(ServiceKind::Http)).await;
    let mut second = on_loopback(ServiceKind::Http);
    second.port = first.tcp[0].port();
    let error = lab.refuses(&second).await;
    let expected = format!(
        "service `web` on host `www`: cannot listen on TCP {}: ",
        first.tcp[0]
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.hint().unwrap().contains("same port"), "{error:?}");
}

#[tokio::test]
async fn foreign_address_is_an_error_that_says_so() {
    let lab = Lab::new();
    let mut service = service(ServiceKind::Http);
    service.listen = vec!["192.0.2.1".parse().unwrap()];
    let error = lab.refuses(&service).await;
    assert!(error.to_string().contains("192.0.2.1:0"), "{error}");
    assert!(error.hint().unwrap().contains("addresses of this host"));
}

#[tokio::test]
async fn service_without_any_address_does_not_start() {
    let lab = Lab::new();
    let mut service = service(ServiceKind::Http);
    service.families = vec![];
    let error = lab.refuses(&service).await;
    assert!(matches!(*error.problem, Problem::ListensNowhere));
}
