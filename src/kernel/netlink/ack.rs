//! What the kernel answers, read from the bytes of a datagram. Pure: no socket here.

use netlink_packet_core::{
    DecodeError, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
    NetlinkBuffer, parse_i32,
};
use nix::errno::Errno;

use super::attributes::{attributes, name_text};
use crate::kernel::KernelError;

/// A request that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetlinkError {
    /// Its error number.
    pub errno: Errno,
    /// The text of its extended acknowledgement (NLMSGERR_ATTR_MSG), where it has one.
    pub ext_ack_message: Option<String>,
}

/// What EACCES means from netlink.
const FORBIDDEN: &str =
    "this is not about privileges: a policy rule, a route or a sysctl (such as `disable_ipv6`) forbids it";

impl NetlinkError {
    /// The error for the person at the keyboard. `tried` completes "cannot …".
    pub fn about(self, tried: impl Into<String>) -> KernelError {
        let error = match self.errno {
            // Netlink says EPERM where privileges are missing.
            Errno::EACCES => KernelError::new(tried).hint(FORBIDDEN),
            _ => KernelError::new(tried),
        };
        let error = error.with_errno(self.errno);
        match self.ext_ack_message {
            Some(message) => error.said(message),
            None => error,
        }
    }
}

impl From<Errno> for NetlinkError {
    fn from(errno: Errno) -> Self {
        Self { errno, ext_ack_message: None }
    }
}

impl From<std::io::Error> for NetlinkError {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Errno::from_raw(number).into(),
            None => Self { errno: Errno::EIO, ext_ack_message: Some(error.to_string()) },
        }
    }
}

impl NetlinkError {
    /// Of a removal: whether what was to be removed is gone already. A removed interface takes along its addresses,
    /// its routes and the interfaces that stand on it; a removed address takes along others of its subnet.
    pub fn is_gone(&self) -> bool {
        matches!(self.errno, Errno::ENODEV | Errno::ESRCH | Errno::ENOENT | Errno::EADDRNOTAVAIL)
    }
}

impl From<DecodeError> for NetlinkError {
    fn from(error: DecodeError) -> Self {
        Self { errno: Errno::EBADMSG, ext_ack_message: Some(format!("its answer makes no sense: {error}")) }
    }
}

/// One message of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Whether the kernel says that what it lists changed while it listed it (NLM_F_DUMP_INTR).
    pub interrupted: bool,
    /// What it says.
    pub says: Says<'a>,
}

/// What a message of an answer says.
#[derive(Debug, PartialEq, Eq)]
pub enum Says<'a> {
    /// Here is one of the things asked for: type of the message and what is behind its netlink header.
    Item(u16, &'a [u8]),
    /// That was all, or: refused.
    End(Result<(), NetlinkError>),
}

/// The messages of a datagram that answer the request with this sequence number; others are late answers to an
/// earlier request, and passed over.
pub fn answers(datagram: &[u8], sequence: u32) -> impl Iterator<Item = Result<Answer<'_>, DecodeError>> {
    messages(datagram).filter_map(move |message| match message {
        Ok(message) if message.sequence_number() != sequence || message.message_type() == NLMSG_NOOP => None,
        Ok(message) => Some(answer(&message)),
        Err(error) => Some(Err(error)),
    })
}

fn answer<'a>(message: &NetlinkBuffer<&'a [u8]>) -> Result<Answer<'a>, DecodeError> {
    let interrupted = message.flags() & NLM_F_DUMP_INTR != 0;
    let payload = message.payload();
    let says = match message.message_type() {
        NLMSG_ERROR => Says::End(outcome(payload, message.flags(), true)?),
        NLMSG_DONE => Says::End(outcome(payload, message.flags(), false)?),
        NLMSG_OVERRUN => Says::End(Err(Errno::ENOBUFS.into())),
        kind => Says::Item(kind, payload),
    };
    Ok(Answer { interrupted, says })
}

/// Every message of some datagrams that were received one after the other.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>, DecodeError>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match NetlinkBuffer::new_checked(rest) {
            Ok(message) => {
                let aligned = (message.length() as usize).next_multiple_of(4);
                rest = rest.get(aligned..).unwrap_or_default();
                Some(Ok(message))
            }
            Err(error) => {
                rest = &[];
                Some(Err(error))
            }
        }
    })
}

/// The code of NLMSG_ERROR or NLMSG_DONE, with the kernel's words if they follow it.
///
/// An error carries the request's header behind the code, and the whole request unless it is capped; what
/// NLMSG_DONE carries follows the code at once.
fn outcome(payload: &[u8], flags: u16, is_error: bool) -> Result<Result<(), NetlinkError>, DecodeError> {
    const CODE: usize = 4;
    const HEADER: usize = 16;
    let Some(code) = payload.get(..CODE) else {
        // The kernel allows a NLMSG_DONE without a code.
        return if is_error { Err(DecodeError::buffer_too_small(payload.len(), CODE)) } else { Ok(Ok(())) };
    };
    let code = parse_i32(code)?;
    if code >= 0 {
        return Ok(Ok(()));
    }
    let request = match (is_error, flags & NLM_F_CAPPED != 0) {
        (false, _) => 0,
        (true, true) => HEADER,
        (true, false) => NetlinkBuffer::new_checked(payload.get(CODE..).unwrap_or_default())?.length() as usize,
    };
    let rest = if flags & NLM_F_ACK_TLVS == 0 { None } else { payload.get(CODE + request.next_multiple_of(4)..) };
    Ok(Err(NetlinkError {
        errno: Errno::from_raw(code.wrapping_neg()),
        ext_ack_message: rest.and_then(ext_ack_message),
    }))
}

/// The text of an extended acknowledgement, with the attribute it is about left to the text itself.
fn ext_ack_message(rest: &[u8]) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let (_, text) = attributes(rest).filter_map(Result::ok).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?;
    name_text(text).map(|text| text.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLM_F_MULTIPART;

    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((16 + payload.len() as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn words(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((4 + text.len() as u16 + 1).to_ne_bytes());
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend(text.as_bytes());
        bytes.push(0);
        bytes
    }

    fn all(datagram: &[u8]) -> Vec<Answer<'_>> {
        answers(datagram, 7).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn answers_to_other_requests_are_passed_over() {
        let mut datagram = message(16, NLM_F_MULTIPART, 6, b"late");
        datagram.extend(message(16, NLM_F_MULTIPART, 7, b"odd"));
        datagram.extend(message(NLMSG_DONE, NLM_F_MULTIPART, 7, &0_i32.to_ne_bytes()));
        assert_eq!(
            all(&datagram),
            [
                Answer { interrupted: false, says: Says::Item(16, b"odd") },
                Answer { interrupted: false, says: Says::End(Ok(())) }
            ]
        );
    }

    #[test]
    fn a_dump_that_ends_with_a_code_was_refused() {
        let mut payload = (-95_i32).to_ne_bytes().to_vec();
        payload.extend(words("no such table."));
        let datagram = message(NLMSG_DONE, NLM_F_MULTIPART | NLM_F_ACK_TLVS, 7, &payload);
        let error = NetlinkError { errno: Errno::EOPNOTSUPP, ext_ack_message: Some("no such table".to_owned()) };
        assert_eq!(all(&datagram)[0].says, Says::End(Err(error)));
    }

    #[test]
    fn the_kernels_words_stand_behind_the_request_capped_or_not() {
        let request = message(24, 5, 7, b"route");
        let header = &request[..16];
        for (flags, echo) in [(NLM_F_CAPPED, header), (0, &request[..])] {
            let mut payload = (-22_i32).to_ne_bytes().to_vec();
            payload.extend(echo);
            payload.extend(words("Invalid prefix"));
            let datagram = message(NLMSG_ERROR, flags | NLM_F_ACK_TLVS, 7, &payload);
            let error = NetlinkError { errno: Errno::EINVAL, ext_ack_message: Some("Invalid prefix".to_owned()) };
            assert_eq!(all(&datagram)[0].says, Says::End(Err(error)));
        }
    }

    #[test]
    fn an_interruption_is_seen_on_any_message() {
        for kind in [16, NLMSG_DONE] {
            let datagram = message(kind, NLM_F_MULTIPART | NLM_F_DUMP_INTR, 7, &0_i32.to_ne_bytes());
            assert!(all(&datagram)[0].interrupted);
        }
    }

    #[test]
    fn an_overrun_is_a_lost_answer() {
        let datagram = message(NLMSG_OVERRUN, 0, 7, &[]);
        assert_eq!(all(&datagram)[0].says, Says::End(Err(Errno::ENOBUFS.into())));
    }

    #[test]
    fn cut_off_bytes_are_an_error_and_not_an_end() {
        let whole = message(NLMSG_ERROR, 0, 7, &(-22_i32).to_ne_bytes());
        for length in 1..whole.len() {
            assert!(answers(&whole[..length], 7).any(|answer| answer.is_err()), "{length} bytes");
        }
    }
}
