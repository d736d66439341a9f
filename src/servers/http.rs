//! HTTP/1.1: who answers, and who has asked for what, a line each, and for whom, where a proxy says so; or the text and
//! the status that the file gives.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::named::Named;
use super::said::shown;
use crate::lab::{HttpAnswer, ServerKind};

/// How long a client may take for the head of a request, and be silent between two requests.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 << 10;
/// How long a client may take for the body of a request, and how large that may be.
const BODY_TIME: Duration = Duration::from_secs(30);
const LARGEST_BODY: usize = 1 << 20;
/// After so long, a connection is closed once its request is answered, and so much later in any case.
const LONGEST: Duration = Duration::from_secs(300);
const LAST_ANSWER: Duration = Duration::from_secs(60);
/// How long, and how much, is still read of what cannot be understood: else the client would lose the answer.
const REST_TIME: Duration = Duration::from_secs(1);
const REST: usize = 256 << 10;

/// Serves a connection until its end.
pub(super) async fn converse(named: Rc<Named>, stream: TcpStream) {
    let (Ok(from), Ok(at)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let own = named.clone();
    let service = service_fn(move |request| answer(own.clone(), from, at, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(LARGEST_HEAD);
    // One that says that it has asked all it wanted (`printf … | nc`) is still answered.
    builder.half_close(true);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let ended = match timeout(LONGEST, Pin::new(&mut connection)).await {
        Ok(ended) => ended,
        Err(_) => {
            Pin::new(&mut connection).graceful_shutdown();
            timeout(LAST_ANSWER, Pin::new(&mut connection)).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended
        && error.is_parse()
    {
        named.tell(from, at, format_args!(": no request of HTTP/1.1 ({error})"));
        read_rest(connection.into_parts().io.into_inner()).await;
    }
}

/// Answers a request.
async fn answer(
    named: Rc<Named>,
    from: SocketAddr,
    at: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = format!("{} {}", shown(request.method().as_str()), shown(&request.uri().to_string()));
    let header = |value: &HeaderValue| shown(&String::from_utf8_lossy(value.as_bytes()));
    let host = request.headers().get(HOST).map(header);
    let client = request.headers().get("x-forwarded-for").map(header);
    let refused = read_body(request.into_body()).await.err();
    let plain = HttpAnswer::default();
    let wanted = if let ServerKind::Http(answer) = &named.server.kind { answer } else { &plain };
    let status = refused.unwrap_or_else(|| StatusCode::from_u16(wanted.status).unwrap_or_default());
    let text = match &wanted.text {
        Some(text) if refused.is_none() => format!("{text}\n"),
        _ => {
            let host = host.unwrap_or_default();
            let introduction = named.introduction(at);
            let client = client.map(|own| format!("x-forwarded-for: {own}\n")).unwrap_or_default();
            format!("{introduction}\ncaller: {from}\nrequest: {asked}\nhost: {host}\n{client}")
        }
    };
    named.tell(from, at, format_args!(": {asked}, {}", status.as_u16()));
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.extend(HeaderValue::try_from(format!("nslab ({})", named.ns)).map(|name| (SERVER, name)));
    if refused.is_some() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Reads the body of a request, and forgets it; the status to answer with where it is too large or too slow.
async fn read_body(mut whole: Incoming) -> Result<(), StatusCode> {
    let mut body = Limited::new(&mut whole, LARGEST_BODY);
    let read = async {
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    };
    match timeout(BODY_TIME, read).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            // As below: who still sends would lose the answer.
            let rest = async { while whole.frame().await.is_some_and(|frame| frame.is_ok()) {} };
            let _ = timeout(REST_TIME, rest).await;
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Reads a little of what is left, so that the kernel does not take back the answer with a reset.
async fn read_rest(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut buffer = [0; 4096];
    let read = async {
        let mut left = REST;
        while left > 0
            && let Ok(length) = stream.read(&mut buffer).await
            && length > 0
        {
            left = left.saturating_sub(length);
        }
    };
    let _ = timeout(REST_TIME, read).await;
}
