//! Questions, as they are written in cases: `NAME TYPE [CLASS] [WORD …]`, or the bytes of a message, `hex:0a0b…`, where
//! `00*12` is twelve zeros. The words: `tcp`, `id=7`, `bufsize=4096`, `do`, `edns=1` (a version), `cd`, `norecurse`,
//! `opcode=4`; `said=NAME:TYPE:DATA,…` is what somebody else answers who is asked, and `said=CODE` a code.

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::{A, Cname};
use nslab::dns::Transport;

pub struct Asked {
    pub bytes: Vec<u8>,
    pub transport: Transport,
    pub said: Option<Said>,
}

/// What somebody else answers.
pub struct Said(String);

pub fn read(line: &str) -> Asked {
    let words: Vec<&str> = line.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let transport = if has("tcp") { Transport::Tcp } else { Transport::Udp };
    let said = value("said").map(|said| Said(said.to_owned()));
    if let Some(hex) = words[0].strip_prefix("hex:") {
        return Asked { bytes: hex.split(',').flat_map(bytes).collect(), transport, said };
    }
    let mut message = MessageBuilder::new_vec();
    let header = message.header_mut();
    header.set_id(value("id").map_or(0, |id| id.parse().expect("a number")));
    header.set_rd(!has("norecurse"));
    header.set_cd(has("cd"));
    header.set_opcode(Opcode::from_int(value("opcode").map_or(0, |own| own.parse().expect("a number"))));
    let mut message = message.question();
    let name: Name<Vec<u8>> = words[0].parse().expect("a name");
    let class = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(Class::IN);
    message.push((name, words[1].parse::<Rtype>().expect("a type"), class)).expect("room");
    let mut message = message.additional();
    if has("do") || value("bufsize").is_some() || value("edns").is_some() {
        let opt = message.opt(|opt| {
            opt.set_udp_payload_size(value("bufsize").map_or(1232, |size| size.parse().expect("a size")));
            opt.set_dnssec_ok(has("do"));
            opt.set_version(value("edns").map_or(0, |version| version.parse().expect("a version")));
            Ok(())
        });
        opt.expect("room");
    }
    Asked { bytes: message.finish(), transport, said }
}

/// `0a0b`, or `00*12`.
fn bytes(text: &str) -> Vec<u8> {
    let (text, times) =
        text.split_once('*').map_or((text, 1), |(text, times)| (text, times.parse().expect("a number")));
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("a byte");
    (0..text.len()).step_by(2).map(byte).collect::<Vec<_>>().repeat(times)
}

impl Said {
    /// The message that answers a question.
    pub fn to(&self, asked: &[u8]) -> Vec<u8> {
        let asked = Message::from_octets(asked).expect("a message");
        let builder = MessageBuilder::new_vec();
        if let Ok(code) = self.0.parse::<Rcode>() {
            return builder.start_answer(&asked, code).expect("room").finish();
        }
        let mut answer = builder.start_answer(&asked, Rcode::NOERROR).expect("room");
        for record in self.0.split(',') {
            let [name, kind, data] = record.splitn(3, ':').collect::<Vec<_>>()[..] else { panic!("{record}") };
            let name: Name<Vec<u8>> = name.parse().expect("a name");
            let pushed = match kind {
                "A" => answer.push((name, 60, data.parse::<A>().expect("an address"))),
                "CNAME" => answer.push((name, 60, Cname::new(data.parse::<Name<Vec<u8>>>().expect("a name")))),
                other => panic!("{other}"),
            };
            pushed.expect("room");
        }
        answer.finish()
    }
}
