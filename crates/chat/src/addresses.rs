//! Addresses of files, by which whoever knows one may fetch it without signing in (XEP-0363): for programs that know no sign-in of ours.
//!
//! An address is the file's number and a code over it that only the pool can make, so that nothing has to be kept for it and the same file has the
//! same address at every server, live and in every archive. A slot, which lets its holder upload one file, says in the same way all that it is for.
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use holdfast_domain::entry::FileRef;
use holdfast_domain::{FileId, PrincipalId, Time};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// What stands before an address in the path of an URL.
const PATH: &str = "/files/";
/// Bytes of a code: 128 bits, which nobody guesses.
const CODE: usize = 16;
/// Bytes of a file's number.
const NUMBER: usize = 16;
/// Bytes of an address, and characters of it as it is written.
const ADDRESS: usize = NUMBER + CODE;
const ADDRESS_CHARS: usize = 43;
/// Bytes of a slot: the file's number, its uploader, its length, the end of the slot, and a code.
const SLOT: usize = NUMBER + 8 + 8 + 8 + CODE;

/// The right to upload one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    /// Its number.
    pub(crate) file: FileId,
    /// Who uploads it.
    pub(crate) by: PrincipalId,
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// Until when.
    pub(crate) until: Time,
}

/// Makes addresses and slots, and knows its own.
pub struct Addresses {
    key: [u8; 32],
}

impl Addresses {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The path of a file at each of the pool's servers.
    pub fn path(&self, file: &FileRef) -> String {
        self.path_of(file.id, &file.name)
    }

    pub(crate) fn path_of(&self, file: FileId, name: &str) -> String {
        let mut address = [0; ADDRESS];
        address[..NUMBER].copy_from_slice(file.0.as_bytes());
        address[NUMBER..].copy_from_slice(&self.code(b"get", &[file.0.as_bytes()]));
        path(&address, name)
    }

    /// The file that has this address.
    pub(crate) fn file(&self, address: &str) -> Option<FileId> {
        let bytes: [u8; ADDRESS] = URL_SAFE_NO_PAD.decode(address).ok()?.try_into().ok()?;
        let (number, code) = bytes.split_at(NUMBER);
        let file = FileId(Uuid::from_slice(number).ok()?);
        bool::from(self.code(b"get", &[number]).ct_eq(code)).then_some(file)
    }

    /// The files whose addresses stand in `text`, each once and at most `most`. Before which server's name it stands is of no matter.
    pub fn said(&self, text: &str, most: usize) -> Vec<FileId> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices(PATH) {
            if found.len() >= most {
                break;
            }
            let address = text.get(at + PATH.len()..at + PATH.len() + ADDRESS_CHARS);
            if let Some(file) = address.and_then(|address| self.file(address))
                && !found.contains(&file)
            {
                found.push(file);
            }
        }
        found
    }

    /// What a message says beside its files: its text without their addresses at its end, each on a line by itself, which every reader is shown or told
    /// anyway. An address that its `elements` say as well stays, unless it is all of the text: XMPP clients compare the two.
    pub(crate) fn beside<'t>(&self, text: &'t str, files: &[FileRef], elements: &str) -> &'t str {
        if let [file] = files
            && self.is_only(text, file.id)
        {
            return "";
        }
        let told_apart = self.said(elements, usize::MAX);
        let mut said = text;
        loop {
            let (before, line) = said.trim_end().rsplit_once('\n').unwrap_or(("", said));
            if !files.iter().any(|file| !told_apart.contains(&file.id) && self.is_only(line, file.id)) {
                return said;
            }
            said = before;
        }
    }

    /// Whether `text` is the address of this file and nothing else.
    fn is_only(&self, text: &str, file: FileId) -> bool {
        let text = text.trim();
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        let rest = text.split_once(PATH).map(|(_, rest)| rest).unwrap_or_default();
        is_url
            && !text.contains(char::is_whitespace)
            && rest.matches('/').count() <= 1
            && rest.split('/').next().and_then(|address| self.file(address)) == Some(file)
    }

    /// The path of a slot. It is good for this name and, unless that is empty, this media type alone.
    pub(crate) fn slot(&self, slot: &Slot, name: &str, media_type: &str) -> String {
        let mut bytes = [0; SLOT];
        let told = slot.bytes();
        bytes[..SLOT - CODE].copy_from_slice(&told);
        bytes[SLOT - CODE..].copy_from_slice(&self.slot_code(&told, name, media_type));
        path(&bytes, name)
    }

    /// The slot of such a path, if it is for this name, and for this media type or any.
    pub(crate) fn read_slot(&self, slot: &str, name: &str, media_type: &str) -> Option<Slot> {
        let bytes: [u8; SLOT] = URL_SAFE_NO_PAD.decode(slot).ok()?.try_into().ok()?;
        let (told, code) = bytes.split_at(SLOT - CODE);
        let is_for = |media_type: &str| bool::from(self.slot_code(told, name, media_type).ct_eq(code));
        let number = |from: usize| Some(i64::from_be_bytes(told.get(from..from + 8)?.try_into().ok()?));
        let slot = Slot {
            file: FileId(Uuid::from_slice(&told[..NUMBER]).ok()?),
            by: PrincipalId(number(NUMBER)?),
            bytes: u64::try_from(number(NUMBER + 8)?).ok()?,
            until: Time::from_millis(number(NUMBER + 16)?),
        };
        (is_for(media_type) || is_for("")).then_some(slot)
    }

    fn slot_code(&self, told: &[u8], name: &str, media_type: &str) -> [u8; CODE] {
        self.code(b"put", &[told, name.as_bytes(), media_type.as_bytes()])
    }

    /// A code over some parts, for one use.
    fn code(&self, of: &[u8; 3], parts: &[&[u8]]) -> [u8; CODE] {
        // A key of any length will do.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.key) else { return [0; CODE] };
        mac.update(of);
        for part in parts {
            // With their lengths, so that no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut code = [0; CODE];
        code.copy_from_slice(&mac.finalize().into_bytes()[..CODE]);
        code
    }
}

impl Slot {
    fn bytes(&self) -> [u8; SLOT - CODE] {
        let mut bytes = [0; SLOT - CODE];
        bytes[..NUMBER].copy_from_slice(self.file.0.as_bytes());
        bytes[NUMBER..NUMBER + 8].copy_from_slice(&self.by.0.to_be_bytes());
        bytes[NUMBER + 8..NUMBER + 16].copy_from_slice(&self.bytes.to_be_bytes());
        bytes[NUMBER + 16..].copy_from_slice(&self.until.millis().to_be_bytes());
        bytes
    }
}

/// The name stands behind it, so that programs see its ending.
fn path(bytes: &[u8], name: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    format!("{PATH}{}/{}", URL_SAFE_NO_PAD.encode(bytes), utf8_percent_encode(name, KEPT))
}

/// The media type alone, in small letters: what is compared (RFC 9110 section 8.3.1).
pub(crate) fn bare_type(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId(Uuid::from_u128(7));

    fn addresses() -> Addresses {
        Addresses::new([3; 32])
    }

    #[test]
    fn an_address_is_its_files_alone() {
        let path = addresses().path_of(FILE, "a plan/?#.png");
        let (address, name) = path.strip_prefix("/files/").unwrap().split_once('/').unwrap();
        assert_eq!((address.len(), name), (ADDRESS_CHARS, "a%20plan%2F%3F%23.png"));
        assert_eq!(addresses().file(address), Some(FILE));
        assert_eq!(Addresses::new([4; 32]).file(address), None);
        for at in 0..address.len() {
            let mut other = address.to_owned().into_bytes();
            other[at] = if other[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(addresses().file(&String::from_utf8(other).unwrap()), None, "{at}");
        }
        for bad in ["", "x", &address[1..], &format!("{address}A"), "ä"] {
            assert_eq!(addresses().file(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_are_found_in_what_is_said() {
        let (one, two) = (addresses().path_of(FILE, "ä.png"), addresses().path_of(FileId(Uuid::from_u128(8)), "b"));
        let text = format!("see https://a.example{one}, http://b{two} and https://c{one} /files/ /files/ä");
        assert_eq!(addresses().said(&text, 10), [FILE, FileId(Uuid::from_u128(8))]);
        assert_eq!(addresses().said(&text, 1), [FILE]);
        assert!(Addresses::new([4; 32]).said(&text, 10).is_empty());
        let whole = format!(" https://a.example:8443{one}\n");
        assert!(addresses().is_only(&whole, FILE) && !addresses().is_only(&whole, FileId(Uuid::from_u128(8))));
        for more in [text, format!("https://a{one}/more"), one.clone(), format!("https://a{one} b")] {
            assert!(!addresses().is_only(&more, FILE), "{more}");
        }
    }

    #[test]
    fn a_slot_is_for_what_it_says_alone() {
        let slot = Slot { file: FILE, by: PrincipalId(9), bytes: 12, until: Time::from_millis(5) };
        let of = |media_type| {
            let path = addresses().slot(&slot, "a.png", media_type);
            path.strip_prefix("/files/").unwrap().split_once('/').unwrap().0.to_owned()
        };
        let typed = of("image/png");
        assert_eq!(addresses().read_slot(&typed, "a.png", "image/png"), Some(slot.clone()));
        assert_eq!(addresses().read_slot(&typed, "a.png", "text/html"), None);
        assert_eq!(addresses().read_slot(&typed, "b.png", "image/png"), None);
        assert_eq!(addresses().read_slot(&typed, "a.png", ""), None);
        assert_eq!(addresses().read_slot(&of(""), "a.png", "text/html"), Some(slot.clone()));
        assert_eq!(Addresses::new([4; 32]).read_slot(&typed, "a.png", "image/png"), None);
        // Neither is taken for the other.
        assert_eq!(addresses().file(&typed), None);
        let mut other = URL_SAFE_NO_PAD.decode(&typed).unwrap();
        for at in 0..other.len() {
            other[at] ^= 1;
            assert_eq!(addresses().read_slot(&URL_SAFE_NO_PAD.encode(&other), "a.png", "image/png"), None, "{at}");
            other[at] ^= 1;
        }
    }

    #[test]
    fn types_are_compared_without_what_is_behind_them() {
        assert_eq!(bare_type("Text/Plain; charset=UTF-8"), "text/plain");
        assert_eq!(bare_type(""), "");
    }
}
