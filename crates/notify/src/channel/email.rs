//! Mail: the whole text, to one mail server.

use super::{Carrier, Letter, Refused};
use crate::message::Level;
use crate::settings::Tls;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as Encryption, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message as Mail, SmtpTransport, Transport};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A mail server, and who writes to whom.
pub struct Email {
    /// The server.
    pub server: String,
    /// Its port.
    pub port: Option<u16>,
    /// How it is spoken to.
    pub tls: Tls,
    /// A file with the certificate of an authority of one's own.
    pub authority: Option<PathBuf>,
    /// Whom to log in as.
    pub user: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The sender.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// The name of this machine.
    pub host: String,
}

impl Carrier for Email {
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused> {
        let mail = self.mail(letter)?;
        let refused = |error: lettre::transport::smtp::Error| Refused::because(said(&error));
        let port = self.port.unwrap_or(match self.tls {
            Tls::Starttls => 587,
            Tls::On => 465,
            Tls::Off => 25,
        });
        let mut transport = SmtpTransport::builder_dangerous(&self.server)
            .port(port)
            .timeout(Some(patience))
            .hello_name(ClientId::Domain(host_name(&self.host)))
            .tls(match self.tls {
                Tls::Starttls => Encryption::Required(self.parameters()?),
                Tls::On => Encryption::Wrapper(self.parameters()?),
                Tls::Off => Encryption::None,
            });
        if let Some(user) = &self.user {
            let password = self.password.as_ref().map_or("", |password| password.expose_secret());
            transport = transport.credentials(Credentials::new(user.clone(), password.to_owned()));
        }
        transport.build().send(&mail).map(drop).map_err(refused)
    }
}

impl Email {
    fn mail(&self, letter: &Letter) -> Result<Mail, Refused> {
        let message = letter.message;
        let host = host_name(&self.host);
        let mut mail = Mail::builder()
            .from(mailbox(&self.from)?)
            .subject(&letter.title)
            .date(SystemTime::from(message.time))
            // The same at every try: a mail program that gets it twice shows it once.
            .message_id(Some(format!("<{}@{host}>", letter.id)))
            .header(ContentType::TEXT_PLAIN);
        let to = if letter.recipients.is_empty() { &self.to } else { letter.recipients };
        if to.is_empty() {
            return Err(Refused::because("nobody is named to get it (`to`)"));
        }
        for address in to {
            mail = mail.to(mailbox(address)?);
        }
        let text = format!("{}\n", letter.text.trim_end());
        let mut mail = mail.body(text).map_err(|error| Refused::because(error.to_string()))?;
        let priority = if message.level == Level::Critical { "1" } else { "3" };
        for (name, value) in [
            // Nobody's holiday notice should answer.
            ("Auto-Submitted", "auto-generated"),
            ("X-Priority", priority),
            ("X-Sexton-Event", message.event.name()),
            ("X-Sexton-Correlation-Id", &message.correlation_id),
        ] {
            if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
                mail.headers_mut().insert_raw(HeaderValue::new(name, value.to_owned()));
            }
        }
        Ok(mail)
    }

    fn parameters(&self) -> Result<TlsParameters, Refused> {
        let mut parameters = TlsParameters::builder(self.server.clone());
        if let Some(file) = &self.authority {
            let pem = std::fs::read(file)
                .map_err(|error| Refused::because(format!("`{}` cannot be read: {error}", file.display())))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| {
                Refused::because(format!("`{}` is no certificate: {error}", file.display()))
            })?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters.build_rustls().map_err(|error| Refused::because(said(&error)))
    }
}

/// Whether a text is a mail address, with or without a name before it.
pub fn is_address(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

fn mailbox(text: &str) -> Result<Mailbox, Refused> {
    text.parse().map_err(|error| Refused::because(format!("`{text}` is no mail address: {error}")))
}

/// Only what may stand in a host name.
fn host_name(host: &str) -> String {
    let plain: String =
        host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '.').collect();
    if plain.is_empty() { "localhost".to_owned() } else { plain }
}

fn said(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
