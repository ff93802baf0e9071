//! An Azure Blob Storage of a test's own: Microsoft's emulator Azurite, on a free port of this machine, with one container, in memory, gone when the test is
//! over. `packaging/install.sh azure` brings it.
#![allow(clippy::expect_used, reason = "a test without its server has failed")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The container that is there.
const CONTAINER: &str = "pool";
/// The account.
const ACCOUNT: &str = "holdfasttest";
/// Its key, before it is written in base64.
const KEY: &[u8] = b"never-to-be-seen-in-any-log-either";

/// A server that runs.
#[derive(Debug)]
pub struct Azure {
    process: Child,
    address: String,
}

impl Azure {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not there, which says how to get it, or cannot be started.
    pub fn start() -> Azure {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/azurite/node_modules/.bin/azurite-blob");
        assert!(program.exists(), "the Azure emulator for the tests is not there; run: packaging/install.sh azure");
        let mut command = Command::new(program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]);
        command.args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"]);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", STANDARD.encode(KEY)));
        let mut process = command.stdout(Stdio::piped()).spawn().expect("Node.js");
        let said = BufReader::new(process.stdout.take().expect("its output")).lines();
        let listens =
            said.map_while(Result::ok).find_map(|line| Some(line.split_once("listens on http://")?.1.to_owned()));
        let address = listens.expect("it ended before it listened");
        let azure = Azure { process, address: address.trim().to_owned() };
        azure.make_container();
        azure
    }

    /// The share in a folder of its container.
    pub fn location(&self, folder: &str) -> String {
        format!("az://{CONTAINER}/{folder}")
    }

    /// The variables by which it is reached.
    pub fn variables(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("AZURE_STORAGE_ENDPOINT", &format!("http://{}/{ACCOUNT}", self.address)),
            pair("AZURE_ALLOW_HTTP", "true"),
            pair("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            pair("AZURE_STORAGE_ACCOUNT_KEY", &self.secret()),
        ]
    }

    /// The key, which must not be told to anybody.
    pub fn secret(&self) -> String {
        STANDARD.encode(KEY)
    }

    /// As its owner would with the provider's tool. The account stands twice where it is named in the path.
    fn make_container(&self) {
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = format!("x-ms-date:{date}\nx-ms-version:2021-08-06\n");
        let to_sign = format!("PUT{}{headers}/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container", "\n".repeat(12));
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key of any length");
        mac.update(to_sign.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let mut stream = TcpStream::connect(&self.address).expect("the emulator");
        let request = format!(
            "PUT /{ACCOUNT}/{CONTAINER}?restype=container HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\
             x-ms-date: {date}\r\nx-ms-version: 2021-08-06\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("the emulator");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("its answer");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

impl Drop for Azure {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
