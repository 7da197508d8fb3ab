//! Receivers of messages inside the test process: a web server and a mail server that write down what they get.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A web server that answers as it is told.
#[derive(Clone)]
pub struct HttpSink {
    at: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    calls: Vec<Call>,
    /// Status, headers and body of the next answers; then 200.
    answers: VecDeque<(u16, String, String)>,
    /// The status of all answers that nobody said otherwise.
    usual: u16,
}

/// What was called.
#[derive(Debug, Clone)]
pub struct Call {
    /// `POST /path`.
    pub what: String,
    /// In lower case, `name: value`.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
    /// The body as it came, where it is no text.
    pub bytes: Vec<u8>,
}

impl Call {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl HttpSink {
    /// A server at a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port: {error}"));
        let at = listener.local_addr().map(|at| at.to_string()).unwrap_or_default();
        let shared = Shared { calls: Vec::new(), answers: VecDeque::new(), usual: 200 };
        let sink = Self { at, shared: Arc::new(Mutex::new(shared)) };
        let own = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        sink
    }

    /// Its address.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// From now on it answers with this status.
    pub fn answers(&self, status: u16) {
        self.lock().usual = status;
    }

    /// The next answer.
    pub fn answers_once(&self, status: u16, headers: &str, body: &str) {
        self.lock().answers.push_back((status, headers.to_owned(), body.to_owned()));
    }

    /// What it was called with since it was last asked.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        let mut what = String::new();
        reader.read_line(&mut what).ok().filter(|read| *read > 0)?;
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            let line = format!("{}: {}", name.to_ascii_lowercase(), value.trim());
            if let Some(said) = line.strip_prefix("content-length: ") {
                length = said.parse().ok()?;
            }
            headers.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let what = what.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let (status, more, text) = {
            let mut shared = self.lock();
            shared.calls.push(Call {
                what,
                headers,
                body: String::from_utf8_lossy(&body).into_owned(),
                bytes: body,
            });
            let usual = shared.usual;
            shared.answers.pop_front().unwrap_or((usual, String::new(), String::new()))
        };
        let head = format!(
            "HTTP/1.1 {status} -\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(text.as_bytes()).ok()
    }
}

/// A connection, encrypted or not.
pub trait Line: Read + Write + Send {}

impl<T: Read + Write + Send> Line for T {}

/// Encrypts a connection.
pub type Encrypt = Arc<dyn Fn(TcpStream) -> Box<dyn Line> + Send + Sync>;

/// A mail that was taken.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// Who sent it.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// Headers and body.
    pub data: String,
    /// Whether the connection was encrypted.
    pub encrypted: bool,
    /// User and password, as they were said.
    pub login: Option<String>,
}

/// How a mail server is spoken to.
#[derive(Clone)]
pub enum Speaks {
    /// In the clear.
    Plain,
    /// In the clear at first, then encrypted.
    Starttls(Encrypt),
    /// Encrypted from the beginning.
    Tls(Encrypt),
}

/// A mail server.
#[derive(Clone)]
pub struct SmtpSink {
    /// Its port.
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl SmtpSink {
    /// A server at a port of its own.
    pub fn start(speaks: Speaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener.local_addr().map(|at| at.port()).unwrap_or_default();
        let sink = Self { port, mails: Arc::default() };
        let own = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, speaks) = (own.clone(), speaks.clone());
                std::thread::spawn(move || own.serve(stream, &speaks));
            }
        });
        sink
    }

    /// The mails since it was last asked.
    pub fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.mails.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn serve(&self, stream: TcpStream, speaks: &Speaks) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let raw = stream.try_clone().ok()?;
        let mut line: Box<dyn Line> = match speaks {
            Speaks::Tls(encrypt) => encrypt(stream),
            _ => Box::new(stream),
        };
        let mut mail = Mail { encrypted: matches!(speaks, Speaks::Tls(_)), ..Mail::default() };
        say(line.as_mut(), "220 sink")?;
        loop {
            let said = hear(line.as_mut())?;
            let word = said.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => {
                    let offered = matches!(speaks, Speaks::Starttls(_)) && !mail.encrypted;
                    say(line.as_mut(), "250-sink")?;
                    say(line.as_mut(), if offered { "250-STARTTLS" } else { "250-8BITMIME" })?;
                    say(line.as_mut(), "250 AUTH PLAIN")?;
                }
                "STARTTLS" => {
                    let Speaks::Starttls(encrypt) = speaks else { return None };
                    say(line.as_mut(), "220 go on")?;
                    line = encrypt(raw.try_clone().ok()?);
                    mail.encrypted = true;
                }
                "AUTH" => {
                    mail.login = said.split(' ').nth(2).map(str::to_owned);
                    say(line.as_mut(), "235 welcome")?;
                }
                "MAIL" => {
                    mail.from = address(&said);
                    say(line.as_mut(), "250 well")?;
                }
                "RCPT" => {
                    mail.to.push(address(&said));
                    say(line.as_mut(), "250 well")?;
                }
                "DATA" => {
                    say(line.as_mut(), "354 go on")?;
                    loop {
                        let text = hear(line.as_mut())?;
                        if text == "." {
                            break;
                        }
                        mail.data.push_str(&text);
                        mail.data.push('\n');
                    }
                    if let Ok(mut mails) = self.mails.lock() {
                        mails.push(mail.clone());
                    }
                    say(line.as_mut(), "250 taken")?;
                }
                "QUIT" => return say(line.as_mut(), "221 bye"),
                _ => say(line.as_mut(), "250 well")?,
            }
        }
    }
}

fn address(said: &str) -> String {
    said.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

fn say(line: &mut dyn Line, text: &str) -> Option<()> {
    line.write_all(format!("{text}\r\n").as_bytes()).ok()?;
    line.flush().ok()
}

/// Byte by byte: whatever follows may be encrypted.
fn hear(line: &mut dyn Line) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while line.read(&mut byte).ok()? == 1 {
        if byte[0] == b'\n' {
            return Some(String::from_utf8_lossy(&text).trim_end_matches('\r').to_owned());
        }
        text.push(byte[0]);
    }
    None
}
