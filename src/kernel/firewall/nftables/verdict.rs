//! Verdicts: to the kernel's attributes, and back. Facts from linux/netfilter/nf_tables.h.

use super::attribute::{Attributes, Reader};
use crate::lab::NftVerdict;

const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_CONTINUE: i32 = -1;
const NFT_JUMP: i32 = -3;
const NFT_GOTO: i32 = -4;
const NFT_RETURN: i32 = -5;

/// Appends the attribute that holds a verdict.
pub(super) fn append(attributes: Attributes, kind: u16, verdict: &NftVerdict) -> Attributes {
    attributes.nested(kind, Attributes::default().nested(NFTA_DATA_VERDICT, encoded(verdict)))
}

/// Takes the attribute that holds a verdict.
pub(super) fn take(reader: &mut Reader<'_>, kind: u16) -> Option<NftVerdict> {
    let mut inside = Reader::new(reader.take(kind)?)?;
    let verdict = decoded(inside.take(NFTA_DATA_VERDICT)?)?;
    inside.end(verdict)
}

fn encoded(verdict: &NftVerdict) -> Attributes {
    let code = match verdict {
        NftVerdict::Accept => NF_ACCEPT,
        NftVerdict::Drop => NF_DROP,
        NftVerdict::Return => NFT_RETURN,
        NftVerdict::Continue => NFT_CONTINUE,
        NftVerdict::Jump(_) => NFT_JUMP,
        NftVerdict::Goto(_) => NFT_GOTO,
    };
    let own = Attributes::default().bytes(NFTA_VERDICT_CODE, &code.to_be_bytes());
    match verdict.target() {
        Some(chain) => own.text(NFTA_VERDICT_CHAIN, chain),
        None => own,
    }
}

fn decoded(bytes: &[u8]) -> Option<NftVerdict> {
    let mut own = Reader::new(bytes)?;
    let code = i32::from_be_bytes(own.take(NFTA_VERDICT_CODE)?.try_into().ok()?);
    let chain = own.text(NFTA_VERDICT_CHAIN);
    let verdict = match (code, chain) {
        (NF_ACCEPT, None) => NftVerdict::Accept,
        (NF_DROP, None) => NftVerdict::Drop,
        (NFT_RETURN, None) => NftVerdict::Return,
        (NFT_CONTINUE, None) => NftVerdict::Continue,
        (NFT_JUMP, Some(chain)) => NftVerdict::Jump(chain),
        (NFT_GOTO, Some(chain)) => NftVerdict::Goto(chain),
        _ => return None,
    };
    own.end(verdict)
}
