//! Copying an object that the service does not copy in one request: part by part, inside the service.
//!
//! The library has no call for this request, so it is written here, with the library's own signature and client. Nothing of the
//! object passes through this machine. A copy that is not completed is aborted and stays invisible.

use super::Shared;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{GetOptions, ObjectMeta, ObjectStore as _, PutMultipartOptions};
use std::time::Duration;

/// What the service copies in one request.
pub const MOST_AT_ONCE: u64 = 5 << 30;
/// 10 000 of them are the largest object there can be.
const PART: u64 = 525 << 20;

type Outcome<T> = Result<T, object_store::Error>;

/// Copies an object.
pub async fn copy(shared: &Shared, from: &ObjectMeta, to: &Path) -> Outcome<()> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    let attributes = shared.store.get_opts(&from.location, options).await?.attributes;
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let upload = shared.store.create_multipart_opts(to, options).await?;
    let copied = match parts(shared, from, to, &upload).await {
        Ok(parts) => shared.store.complete_multipart(to, &upload, parts).await,
        Err(error) => Err(error),
    };
    if copied.is_err() {
        // Parts that cannot be taken back now are for the bucket's own lifecycle rule to remove.
        let _ = shared.store.abort_multipart(to, &upload).await;
    }
    copied.map(drop)
}

async fn parts(shared: &Shared, from: &ObjectMeta, to: &Path, upload: &str) -> Outcome<Vec<PartId>> {
    let client = ReqwestConnector::default().connect(&shared.client)?;
    let source = source(shared, &from.location).await?;
    let target = address(shared, to).await?;
    let size = PART.min(shared.largest_copy).max(1);
    let mut parts = Vec::new();
    let mut at = 0;
    while at < from.size {
        let end = from.size.min(at + size);
        let number = parts.len() + 1;
        let url = format!("{target}?partNumber={number}&uploadId={}", encoded(upload));
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = "PUT".parse().map_err(odd)?;
        *request.uri_mut() = url.parse().map_err(odd)?;
        let headers = request.headers_mut();
        headers.insert("x-amz-copy-source", source.parse().map_err(odd)?);
        headers.insert("x-amz-copy-source-range", format!("bytes={at}-{}", end - 1).parse().map_err(odd)?);
        if let Some(tag) = &from.e_tag {
            headers.insert("x-amz-copy-source-if-match", tag.parse().map_err(odd)?);
        }
        let credential = shared.store.credentials().get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &shared.region).try_authorize(&mut request, None)?;
        let answer = client.execute(request).await.map_err(odd)?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(odd)?;
        let text = String::from_utf8_lossy(&body);
        // An error may come with a good status, when it was met after the answer began.
        let tag = text.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>"));
        let Some((tag, _)) = tag.filter(|_| status.is_success()) else {
            let text: String = text.chars().take(300).collect();
            return Err(odd(format!(
                "part {number} was not copied, status code: {}: {text}",
                status.as_u16()
            )));
        };
        parts.push(PartId { content_id: tag.replace("&quot;", "\"") });
        at = end;
    }
    Ok(parts)
}

/// Where an object is, without any signature.
async fn address(shared: &Shared, path: &Path) -> Outcome<String> {
    let method = "PUT".parse().map_err(odd)?;
    let mut url = shared.store.signed_url(method, path, Duration::from_secs(60)).await?;
    url.set_query(None);
    Ok(url.to_string())
}

/// What is copied, as the header names it: bucket and key, encoded.
async fn source(shared: &Shared, path: &Path) -> Outcome<String> {
    let method = "PUT".parse().map_err(odd)?;
    let url = shared.store.signed_url(method, path, Duration::from_secs(60)).await?;
    let key = url.path();
    Ok(if shared.path_style { key.to_owned() } else { format!("/{}{key}", shared.bucket) })
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn odd(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: error.into() }
}
