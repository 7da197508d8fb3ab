//! From an address to a connection that has been let in: sockets, TLS, log-in.
//!
//! Every step has the address's time limit. Passwords go out as SCRAM answers, bound to the TLS connection where the server
//! offers that, or as MD5 answers; in clear text only where the server asks for it over TLS or a socket.

use super::address::{Address, Binding, Host, TlsMode};
use super::binding::end_point;
use super::errors::{Report, lost, protocol, unreachable};
use super::message::Message;
use super::tls;
use super::wire::{Stream, Wire};
use postgres_protocol::authentication::{md5_hash, sasl};
use secrecy::ExposeSecret;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use targets::db::{Class, Error, Result};

const PROTOCOL_3: i32 = 3 << 16;
const TLS_PLEASE: i32 = 80877103;
const CANCEL_PLEASE: i32 = 80877102;

/// Tries the hosts in turn; the last error counts.
pub(super) fn open(address: &Address) -> Result<Wire> {
    let mut last = None;
    for host in &address.hosts {
        match one_host(address, host) {
            Ok(wire) => return Ok(wire),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::usage("the database URL names no host")))
}

/// Asks the server to end what a session is doing. Best effort, as in libpq.
pub(super) fn cancel(host: &Host, process_id: i32, secret: i32) {
    let limit = Duration::from_secs(5);
    let mut request = Message::new(0);
    [CANCEL_PLEASE, process_id, secret].into_iter().for_each(|number| request.int(number));
    if let (Ok(request), Ok(mut stream)) = (request.finish(), socket(host, limit)) {
        // The server closes when the signal is sent: after that it cannot hit a later statement.
        let _ = stream.write_all(&request).and_then(|()| stream.read(&mut [0]).map(drop));
    }
}

fn one_host(address: &Address, host: &Host) -> Result<Wire> {
    // libpq's order: `allow` begins in the clear, `prefer` with TLS; each tries the other way once.
    let ways: &[bool] = match (host, address.tls) {
        (Host::Socket(_), _) | (_, TlsMode::Disable) => &[false],
        (_, TlsMode::Allow) => &[false, true],
        (_, TlsMode::Prefer) => &[true, false],
        _ => &[true],
    };
    let mut last = None;
    for with_tls in ways {
        match log_in(address, host, *with_tls) {
            Ok(wire) => return Ok(wire),
            Err(error) => {
                let other_way =
                    matches!(error.code.as_deref(), Some("28000") | None) && error.class == Class::System;
                // The first refusal is the one to show: it is about the way that was meant.
                last = last.or(Some(error));
                if !other_way {
                    break;
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| protocol("no way to connect")))
}

fn socket(host: &Host, limit: Duration) -> Result<Stream> {
    let stream = match host {
        Host::Socket(file) => {
            let stream =
                UnixStream::connect(file).map_err(|error| unreachable(&file.display().to_string(), error))?;
            Stream::Unix(stream)
        }
        Host::Tcp(name, port) => {
            let place = format!("{name}:{port}");
            let found =
                (name.as_str(), *port).to_socket_addrs().map_err(|error| unreachable(&place, error))?;
            let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
            let stream = found
                .into_iter()
                .find_map(|one| TcpStream::connect_timeout(&one, limit).map_err(|error| last = error).ok());
            let stream = stream.ok_or_else(|| unreachable(&place, last))?;
            stream.set_nodelay(true).map_err(lost)?;
            keep_alive(&stream);
            Stream::Tcp(stream)
        }
    };
    stream.set_read_timeout(Some(limit)).map_err(lost)?;
    Ok(stream)
}

/// A peer that vanished without a word is noticed after about a minute: nothing here waits for ever, and a long
/// vacuum may be silent for hours.
fn keep_alive(stream: &TcpStream) {
    let mut settings = vec![(libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)];
    #[cfg(target_os = "linux")]
    settings.extend([
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 30),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 10),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 60_000),
    ]);
    for (level, name, value) in settings {
        let value: libc::c_int = value;
        let size = std::mem::size_of_val(&value) as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as `stream` lives, and `value` is an int of that size.
        unsafe { libc::setsockopt(stream.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    }
}

fn log_in(address: &Address, host: &Host, with_tls: bool) -> Result<Wire> {
    let stream = match (socket(host, address.connect_timeout)?, host) {
        (Stream::Tcp(plain), Host::Tcp(name, _)) if with_tls => with_tls_if_offered(address, name, plain)?,
        (stream, _) => stream,
    };
    let clear_text_is_safe = !matches!(stream, Stream::Tcp(_));
    let mut wire = Wire::new(stream, host.clone());
    let mut hello = Message::new(0);
    hello.int(PROTOCOL_3);
    let mut settings = vec![
        ("user", address.user.as_str()),
        ("database", address.database.as_str()),
        ("application_name", address.application),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, YMD"),
        ("TimeZone", "UTC"),
    ];
    settings.extend(address.options.as_deref().map(|options| ("options", options)));
    for (name, value) in settings {
        hello.text(name)?;
        hello.text(value)?;
    }
    hello.bytes(&[0]);
    wire.send(&hello.finish()?)?;
    authenticate(&mut wire, address, clear_text_is_safe)?;
    wait_until_ready(&mut wire)?;
    wire.stream().set_read_timeout(None).map_err(lost)?;
    if address.read_write_only {
        let mut read_only = false;
        wire.script("show transaction_read_only", &mut |row| read_only |= row == [Some("on".to_owned())])?;
        if read_only {
            return Err(Error::system(
                "the server takes no changes, and `target_session_attrs` asks for one that does",
            )
            .help("name the primary server in the database URL")
            .code("25006"));
        }
    }
    Ok(wire)
}

fn with_tls_if_offered(address: &Address, name: &str, mut plain: TcpStream) -> Result<Stream> {
    let mut request = Message::new(0);
    request.int(TLS_PLEASE);
    let mut answer = [0];
    plain.write_all(&request.finish()?).and_then(|()| plain.read_exact(&mut answer)).map_err(lost)?;
    match answer[0] {
        b'S' => Ok(Stream::Tls(Box::new(tls::wrap(address, name, plain)?))),
        b'N' if address.tls == TlsMode::Prefer => Ok(Stream::Tcp(plain)),
        b'N' => Err(Error::system(format!("the server at `{name}` offers no TLS"))
            .help("switch `ssl = on` at the server, or write sslmode=prefer to do without")
            .code("08P01")),
        _ => Err(protocol("no answer to the request for TLS")),
    }
}

fn authenticate(wire: &mut Wire, address: &Address, clear_text_is_safe: bool) -> Result<()> {
    let password = || {
        address.password.as_ref().map(|password| password.expose_secret().as_bytes()).ok_or_else(|| {
            Error::system(format!("the server asks for the password of `{}`", address.user))
                .help("put it into the database URL, or into the password file ~/.pgpass (mode 0600)")
                .code("28P01")
        })
    };
    let certificate = match wire.stream() {
        Stream::Tls(stream) => stream.conn.peer_certificates().and_then(|chain| chain.first()),
        _ => None,
    };
    let bound_to = certificate.filter(|_| address.binding != Binding::Disable).and_then(|it| end_point(it));
    let mut scram: Option<Scram> = None;
    loop {
        let (tag, range) = wire.next()?;
        let body = wire.body(range).to_vec();
        let rest = body.get(4..).unwrap_or_default();
        match (tag, body.first_chunk().map(|kind| i32::from_be_bytes(*kind))) {
            (b'E', _) => return Err(Report::read(&body).into_error()),
            (b'R', Some(0)) => return is_let_in(address, scram.as_ref()),
            (b'R', Some(3)) if clear_text_is_safe => answer(wire, &[password()?, &[0]].concat())?,
            (b'R', Some(3)) => {
                return Err(Error::system("the server asks for the password in clear text, without TLS")
                    .help("write sslmode=verify-full, or switch the server to scram-sha-256")
                    .code("28000"));
            }
            (b'R', Some(5)) => {
                let salt = *rest.first_chunk().ok_or_else(|| protocol("a salt is too short"))?;
                let hash = md5_hash(address.user.as_bytes(), password()?, salt);
                answer(wire, &[hash.as_bytes(), &[0]].concat())?;
            }
            (b'R', Some(10)) => {
                let offers: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
                let own = Scram::begin(address, &offers, bound_to.clone(), password()?)?;
                let mut first = [own.mechanism.as_bytes(), &[0]].concat();
                first.extend((own.state.message().len() as i32).to_be_bytes());
                first.extend(own.state.message());
                answer(wire, &first)?;
                scram = Some(own);
            }
            (b'R', Some(kind @ (11 | 12))) => {
                let own = scram.as_mut().ok_or_else(|| protocol("an answer without a question"))?;
                let step = if kind == 11 { own.state.update(rest) } else { own.state.finish(rest) };
                step.map_err(|error| protocol("the log-in went wrong").because(error))?;
                if kind == 11 {
                    let next = own.state.message().to_vec();
                    answer(wire, &next)?;
                }
                own.proved = kind == 12;
            }
            (b'R', Some(kind)) => {
                return Err(Error::system(format!(
                    "the server asks for a log-in of kind {kind}, which is not supported"
                ))
                .help("allow scram-sha-256 or peer for this user in pg_hba.conf")
                .code("28000"));
            }
            // A newer server offers to speak protocol 3.0.
            (b'v', _) => {}
            _ => return Err(protocol("an unexpected message before the log-in")),
        }
    }
}

/// A log-in by challenge, in which the server too proves that it knows the password.
struct Scram {
    state: sasl::ScramSha256,
    mechanism: &'static str,
    /// The server has given its proof.
    proved: bool,
}

impl Scram {
    /// Chooses the strongest way that both sides know. `bound_to` is the certificate's hash, where there is one.
    fn begin(
        address: &Address,
        offers: &[&[u8]],
        bound_to: Option<Vec<u8>>,
        password: &[u8],
    ) -> Result<Self> {
        let offered = |mechanism: &str| offers.contains(&mechanism.as_bytes());
        let (mechanism, binding) = match bound_to {
            Some(hash) if offered(sasl::SCRAM_SHA_256_PLUS) => {
                (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash))
            }
            _ if address.binding == Binding::Require => return Err(unbound()),
            // So said, a server that has offered it knows that somebody in between took the offer away.
            Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        if !offered(mechanism) {
            return Err(protocol("no way to log in that is known here"));
        }
        Ok(Self { state: sasl::ScramSha256::new(password, binding), mechanism, proved: false })
    }
}

/// Whether the server's word that all is well may be believed.
fn is_let_in(address: &Address, scram: Option<&Scram>) -> Result<()> {
    if scram.is_some_and(|scram| !scram.proved) {
        return Err(protocol("it has not proved that it knows the password"));
    }
    let bound = scram.is_some_and(|scram| scram.mechanism == sasl::SCRAM_SHA_256_PLUS);
    if address.binding == Binding::Require && !bound { Err(unbound()) } else { Ok(()) }
}

fn unbound() -> Error {
    Error::system(
        "the log-in cannot be bound to the TLS connection, and `channel_binding=require` asks for it",
    )
    .help("use TLS and scram-sha-256 at the server, or write channel_binding=prefer")
    .code("28000")
}

fn answer(wire: &mut Wire, bytes: &[u8]) -> Result<()> {
    let mut message = Message::new(b'p');
    message.bytes(bytes);
    wire.send(&message.finish()?)
}

fn wait_until_ready(wire: &mut Wire) -> Result<()> {
    loop {
        let (tag, range) = wire.next()?;
        let body = wire.body(range);
        match tag {
            b'K' if body.len() >= 8 => {
                let number =
                    |at: usize| i32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
                (wire.process_id, wire.secret) = (number(0), number(4));
            }
            b'E' => return Err(Report::read(body).into_error()),
            b'Z' => return Ok(()),
            _ => {}
        }
    }
}
