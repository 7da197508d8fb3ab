//! From an address and options to a client of the service. Connects to nothing.

use super::{BucketOptions, Credentials};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use secrecy::ExposeSecret as _;
use std::time::Duration;
use targets::db::{Error, Result};
use targets::files::check_name;

/// Bucket and prefix; the prefix is empty or ends with `/`.
pub fn parse(label: &str, url: &str) -> Result<(String, String)> {
    let wrong = |why: &str| {
        Error::usage(format!("the address of bucket `{label}` {why}"))
            .help("write s3://bucket or s3://bucket/prefix")
    };
    let rest = url.strip_prefix("s3://").ok_or_else(|| wrong("does not begin with `s3://`"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err(wrong("has no valid name of a bucket"));
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() {
        return Ok((bucket.to_owned(), String::new()));
    }
    check_name(prefix).map_err(|error| error.while_doing(&format!("the address of bucket `{label}`")))?;
    Ok((bucket.to_owned(), format!("{prefix}/")))
}

/// How requests are sent.
pub fn client(options: &BucketOptions) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(options.allow_http)
        .with_connect_timeout(Duration::from_secs(10))
        // For one part of 16 MiB or one range of 8 MiB, on a slow line.
        .with_timeout(Duration::from_secs(300))
        // Nobody looks after a connection between two calls, so it must not be trusted for long.
        .with_pool_idle_timeout(Duration::from_secs(10))
}

/// The region that requests are signed for.
pub fn region(options: &BucketOptions) -> &str {
    options.region.as_deref().unwrap_or("us-east-1")
}

pub fn connect(label: &str, bucket: &str, options: BucketOptions) -> Result<AmazonS3> {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(4),
        base: 2.0,
    };
    let retry =
        RetryConfig { backoff, max_retries: options.retries, retry_timeout: Duration::from_secs(180) };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region(&options))
        .with_virtual_hosted_style_request(!options.path_style)
        .with_client_options(client(&options))
        .with_retry(retry);
    if let Some(endpoint) = &options.endpoint {
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("", endpoint));
        if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains(['@', '?', '#']) {
            return Err(Error::usage(format!("the endpoint of bucket `{label}` is no plain web address"))
                .help("write https:// and the host, with a port if it needs one"));
        }
        if scheme == "http" && !options.allow_http {
            return Err(Error::usage(format!("the endpoint of bucket `{label}` is not encrypted"))
                .help("use https://, or set `allow_http = true`"));
        }
        builder = builder.with_endpoint(match options.path_style {
            true => endpoint.clone(),
            false => format!("{scheme}://{bucket}.{host}"),
        });
    }
    builder = match &options.credentials {
        Credentials::Keys { access_key, secret_key, token } => {
            let keys =
                builder.with_access_key_id(access_key).with_secret_access_key(secret_key.expose_secret());
            token.iter().fold(keys, |keys, token| keys.with_token(token.expose_secret()))
        }
        Credentials::Instance => builder,
        Credentials::Anonymous => builder.with_skip_signature(true),
    };
    builder.build().map_err(|error| Error::usage(format!("bucket `{label}` cannot be set up")).because(error))
}
