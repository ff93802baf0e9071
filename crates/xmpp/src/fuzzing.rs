//! What reads bytes of strangers, each with what must hold whatever they are: tried with random input by this crate's tests, and for longer by `fuzz/`.

use crate::archive::query::Asked;
use crate::sasl::scram::{self, First};
use crate::stream::decoder::{Bounds, Decoder, Framing, Unit};
use crate::stream::error::StreamError;
use crate::stream::inline::Inline;
use crate::stream::transport::Bindings;
use crate::user::pubsub::{Node, Settings};
use crate::xml::text_of;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use holdfast_chat::accounts::ScramKeys;
use holdfast_domain::PrincipalId;
use minidom::Element;
use sha2::{Digest as _, Sha256};
use xmpp_parsers::data_forms::DataForm;
use xmpp_parsers::rsm::SetQuery;

/// Small, so that short input meets every bound.
const SMALL: Bounds = Bounds { bytes: 512, depth: 5, elements: 12, attributes: 4 };
/// Of a client that has signed in, but for the size.
const LARGE: Bounds = Bounds { bytes: 64 * 1024, depth: 32, elements: 2_048, attributes: 64 };

/// A stream. The first byte says the framing (odd: one document; even: many), the second how the rest is cut into portions.
pub fn stream(data: &[u8]) {
    let [framing, cut, text @ ..] = data else { return };
    let framing = if framing % 2 == 1 { Framing::Stream } else { Framing::Documents };
    let whole = read(framing, &mut std::iter::once(text));
    // Portions of 1 to 64 bytes, now this long and now that.
    let (mut rest, mut state) = (text, u32::from(*cut));
    let mut portions = std::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = rest.len().min(1 + (state >> 26) as usize);
        let (portion, left) = rest.split_at(size);
        rest = left;
        (!portion.is_empty()).then_some(portion)
    });
    assert_eq!(read(framing, &mut portions), whole, "it depends on the portions in which it comes");
    assert_eq!(read(framing, &mut text.chunks(1)), whole, "it depends on whether it comes byte by byte");
    for unit in &whole.0 {
        if let Unit::Stanza(element) = unit {
            assert_eq!(again(framing, element), Ok(Some(unit.clone())), "what is read and written is something else");
        }
    }
}

/// Reads what is written of an element, in the framing in which it came: what opens a WebSocket's stream is any other element on TCP. By our own reader,
/// which unlike minidom's takes an element of no namespace.
fn again(framing: Framing, element: &Element) -> Result<Option<Unit>, StreamError> {
    let text = match framing {
        Framing::Stream => format!("<s:stream xmlns:s='{}'>{}", crate::ns::XMPP_STREAM, text_of(element)),
        Framing::Documents => text_of(element),
    };
    let (mut decoder, mut rest) = (Decoder::new(framing, LARGE), text.as_bytes());
    if framing == Framing::Stream {
        decoder.next(&mut rest)?;
    }
    decoder.next(&mut rest)
}

fn read(framing: Framing, portions: &mut dyn Iterator<Item = &[u8]>) -> (Vec<Unit>, Option<StreamError>) {
    let mut decoder = Decoder::new(framing, SMALL);
    let mut units = Vec::new();
    let mut waiting: Vec<u8> = Vec::new();
    for portion in portions {
        waiting.extend_from_slice(portion);
        let mut rest = waiting.as_slice();
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(Unit::Close)) => {
                    units.push(Unit::Close);
                    return (units, None);
                }
                Ok(Some(unit)) => units.push(unit),
                Ok(None) => break,
                Err(error) => return (units, Some(error)),
            }
        }
        waiting = rest.to_vec();
    }
    (units, None)
}

/// Signing in. The first byte says whether the mechanism binds (bit 0) and by what the connection can be bound to (bits 1 and 2); then come the client's first
/// words, and after a line's end its last.
pub fn sasl(data: &[u8]) {
    let [flags, words @ ..] = data else { return };
    let plus = flags & 1 == 1;
    let bindings =
        Bindings { exporter: (flags & 2 == 2).then(|| vec![7; 32]), end_point: (flags & 4 == 4).then(|| vec![6; 32]) };
    let at = words.iter().position(|b| *b == b'\n').unwrap_or(words.len());
    let (said, last) = words.split_at(at);
    let Ok(first) = First::read(said, plus, &bindings) else { return };
    let client_key = [3; 32];
    let stored_key: [u8; 32] = Sha256::digest(client_key).into();
    let keys = ScramKeys { salt: vec![1; 16], iterations: 4096, stored_key, server_key: [5; 32] };
    let nonce = first.nonce_with(&[9; 18]);
    let challenge = scram::challenge(&nonce, &keys);
    let judged = |words: &[u8]| scram::judge(&first, &nonce, &challenge, &keys, words, &bindings);
    let last = last.get(1..).unwrap_or_default();
    assert!(!matches!(judged(last), Ok(Some(_))), "somebody is signed in who does not know the password");
    // Who knows it is signed in, whatever he is called.
    let text = String::from_utf8_lossy(said);
    let mut parts = text.splitn(3, ',');
    let (flag, act_as) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let bare = parts.next().unwrap_or_default();
    let mut binding = format!("{flag},{act_as},").into_bytes();
    if plus {
        let wanted = flag.strip_prefix("p=").unwrap_or_default();
        let bound = bindings.offered().find(|b| b.name() == wanted).and_then(|b| bindings.of(b));
        binding.extend(bound.into_iter().flatten());
    }
    let without_proof = format!("c={},r={nonce}", STANDARD.encode(binding));
    let signature = mac(&stored_key, format!("{bare},{challenge},{without_proof}").as_bytes());
    let mut proof = client_key;
    for (byte, signed) in proof.iter_mut().zip(signature) {
        *byte ^= signed;
    }
    let right = format!("{without_proof},p={}", STANDARD.encode(proof));
    assert!(matches!(judged(right.as_bytes()), Ok(Some(_))), "somebody who knows the password is not signed in");
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Queries of archives, forms, and pages: one element, and whatever stands in it.
pub fn forms(data: &[u8]) {
    let mut decoder = Decoder::new(Framing::Documents, LARGE);
    let mut rest = data;
    while let Ok(Some(unit)) = decoder.next(&mut rest) {
        let Unit::Stanza(element) = unit else { continue };
        try_forms(&element);
    }
}

fn try_forms(element: &Element) {
    if let Ok(asked) = Asked::read(element) {
        assert!(asked.most <= crate::limits::PAGE && asked.ids.len() <= crate::limits::PAGE);
        let _ = crate::archive::query::told(&asked, None, Default::default());
    }
    let _ = SetQuery::try_from(element.clone());
    if let Some(wanted) = Inline::read(element).begin {
        let resource = wanted.resource(PrincipalId(10));
        assert!(!resource.is_empty() && resource.len() <= crate::limits::RESOURCE_BYTES);
    }
    if let Ok(form) = DataForm::try_from(element.clone()) {
        let node = Node::new("urn:xmpp:bookmarks:1");
        if let Ok(settings) = Settings::of(&node).with(&form) {
            assert_eq!(Settings::read(&settings.kept()), Some(settings), "settings are kept as something else");
        }
    }
    element.children().for_each(try_forms);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    /// The inputs that `fuzz/` begins with.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let seeds = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        seeds.collect()
    }

    #[test]
    fn every_seed_is_read() {
        for (target, run) in [("stream", stream as fn(&[u8])), ("sasl", sasl), ("forms", forms)] {
            let seeds = seeds(target);
            assert!(seeds.len() >= 4, "{target}");
            seeds.iter().for_each(|seed| run(seed));
        }
    }

    /// A seed with some bytes of it made something else, put in, or taken out.
    fn spoilt(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let seeds = seeds(target);
        let changes = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<u8>()), 0..12);
        (0..seeds.len(), changes).prop_map(move |(seed, changes)| {
            let mut bytes = seeds[seed].clone();
            for (at, what, byte) in changes {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match what {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    2 => drop(bytes.remove(at)),
                    // A part of it again.
                    _ => bytes.extend_from_within(at..(at + usize::from(byte)).min(bytes.len())),
                }
            }
            bytes
        })
    }

    /// Pieces that mean something, in an order that does not.
    #[test]
    fn what_opens_a_websockets_stream_is_any_other_element_on_tcp() {
        let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
        stream(format!("\x01\x00<s:stream xmlns:s='{}'>{open}", crate::ns::XMPP_STREAM).as_bytes());
        stream(format!("\x00\x00{open}").as_bytes());
    }

    fn pieces(of: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(of), 0..40).prop_map(|pieces| pieces.concat().into_bytes())
    }

    const XML: &[&str] = &[
        "<a xmlns='b'>",
        "<a>",
        "</a>",
        "<b c='d'/>",
        "<b c='d' c='e'/>",
        " ",
        "\n",
        "x",
        "&amp;",
        "&lt;",
        "&#10;",
        "&e;",
        "]]>",
        "<![CDATA[x]]>",
        "ü",
        "\u{FFFE}",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "</stream:stream>",
        "<!-- -->",
        "<?x?>",
        "<?xml version='1.0'?>",
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        "<p:q xmlns:p='r'/>",
        "xml:lang='en'",
        "\r\n",
    ];

    proptest! {
        #[test]
        fn no_bytes_break_a_stream(framing in any::<u8>(), cut in any::<u8>(), bytes in prop_oneof![spoilt("stream"), pieces(XML)]) {
            stream(&[&[framing, cut], bytes.as_slice()].concat());
            stream(&bytes);
        }

        #[test]
        fn no_words_sign_in_or_break_signing_in(words in spoilt("sasl")) {
            sasl(&words);
        }

        #[test]
        fn no_form_breaks_anything(form in spoilt("forms")) {
            forms(&form);
        }
    }
}
