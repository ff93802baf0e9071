//! The servers of buckets: what each is named by, which variables say how it is reached, and what to look at when it is not.
//!
//! Counted on are three things, beside reading, writing and removing: that an object is written only where none is, of two that try at once by one alone; that
//! what was written is read and listed from then on; and that a listing is whole. S3, Google Cloud Storage and Azure Blob Storage promise them;
//! [`super::Share::probe`] tries the first and the second, since not everything that speaks like them does. WebDAV (`http://`, `https://`) knows no such writing
//! that the library could ask for.

use super::place::Variables;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::ClientConfigKey;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// A sort of server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cloud {
    /// S3 of Amazon or of somebody else.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// What is to be known of one.
struct Facts {
    /// What the name of a share on it begins with, before `://`.
    scheme: &'static str,
    /// How a share on it is named.
    form: &'static str,
    /// The beginning of its variables.
    variables: &'static str,
    /// Where server and key stand, since they do not stand in the name.
    elsewhere: &'static str,
    /// The beginnings of those that say who we are.
    keys: &'static [&'static str],
    /// What may help when there is a key.
    with_key: &'static str,
    /// What may help when there is none.
    without_key: &'static str,
}

const S3: Facts = Facts {
    scheme: "s3",
    form: "s3://BUCKET/FOLDER",
    variables: "AWS_",
    elsewhere: "AWS_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    keys: &["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS"],
    with_key: "does its server answer, and are AWS_ENDPOINT, AWS_REGION and the key in AWS_ACCESS_KEY_ID right?",
    without_key: "no key is in the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
};

const GOOGLE: Facts = Facts {
    scheme: "gs",
    form: "gs://BUCKET/FOLDER",
    variables: "GOOGLE_",
    elsewhere: "GOOGLE_SERVICE_ACCOUNT, which names the file with the key",
    keys: &["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_BEARER_TOKEN", "GOOGLE_SKIP_SIGNATURE"],
    with_key: "does its server answer, and is the key in the file that GOOGLE_SERVICE_ACCOUNT names right?",
    without_key: "no key is in the environment: GOOGLE_SERVICE_ACCOUNT names the file with it",
};

const AZURE: Facts = Facts {
    scheme: "az",
    form: "az://CONTAINER/FOLDER",
    variables: "AZURE_",
    elsewhere: "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    keys: &[
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_MASTER_KEY",
        "AZURE_STORAGE_SAS",
        "AZURE_STORAGE_CLIENT_SECRET",
        "AZURE_CLIENT_SECRET",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_STORAGE_TOKEN",
        "AZURE_STORAGE_USE_EMULATOR",
    ],
    with_key: "does its server answer, and are AZURE_STORAGE_ACCOUNT_NAME and the key in AZURE_STORAGE_ACCOUNT_KEY right?",
    without_key: "no key is in the environment: AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
};

impl Cloud {
    const ALL: [Cloud; 3] = [Cloud::S3, Cloud::Google, Cloud::Azure];

    fn facts(self) -> &'static Facts {
        match self {
            Cloud::S3 => &S3,
            Cloud::Google => &GOOGLE,
            Cloud::Azure => &AZURE,
        }
    }

    /// The one that is named by what stands before `://`.
    pub(super) fn of_scheme(scheme: &str) -> Option<Cloud> {
        Cloud::ALL.into_iter().find(|cloud| cloud.facts().scheme == scheme)
    }

    /// What stands before `://`.
    pub(super) fn scheme(self) -> &'static str {
        self.facts().scheme
    }

    /// How a share on it is named.
    pub(super) fn form(self) -> &'static str {
        self.facts().form
    }

    /// Where server and key stand.
    pub(super) fn elsewhere(self) -> &'static str {
        self.facts().elsewhere
    }

    /// What may help when it is not reached. Without a key the server is asked that a rented machine has beside it, which elsewhere does not answer.
    pub(super) fn advice(self, variables: &Variables) -> &'static str {
        let facts = self.facts();
        let has_key = variables
            .of_beginning(facts.variables)
            .any(|(name, value)| facts.keys.iter().any(|key| name.starts_with(key)) && !value.is_empty());
        if has_key { facts.with_key } else { facts.without_key }
    }

    /// A bucket of it, by its variables. A call takes no longer than the deadline.
    pub(super) fn bucket(
        self,
        url: &str,
        deadline: Duration,
        variables: &Variables,
    ) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let mine = variables.of_beginning(self.facts().variables);
        // There are more of them than concern us.
        let mine = mine.map(|(name, value)| (name.to_ascii_lowercase(), value));
        // Each has a builder and settings of its own, of one shape.
        macro_rules! bucket {
            ($builder:ident, $key:ident $(, $setting:ident: $value:literal)?) => {{
                let mut builder = $builder::new();
                for (name, value) in mine {
                    if let Ok(key) = name.parse::<$key>() {
                        builder = builder.with_config(key, value);
                    }
                }
                for (key, value) in limits(deadline) {
                    builder = builder.with_config($key::Client(key), value);
                }
                $(builder = builder.with_config($key::$setting, $value);)?
                Arc::new(builder.with_url(url).with_retry(retry(deadline)).build()?)
            }};
        }
        Ok(match self {
            // One by one: not every server knows how to delete many at once.
            Cloud::S3 => bucket!(AmazonS3Builder, AmazonS3ConfigKey, DisableBulkDelete: "true"),
            Cloud::Google => bucket!(GoogleCloudStorageBuilder, GoogleConfigKey),
            Cloud::Azure => bucket!(MicrosoftAzureBuilder, AzureConfigKey),
        })
    }
}

/// Whether a variable of this process says how a share is reached. Who starts a program that has to reach one hands these on.
pub fn reaches_shares(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    Cloud::ALL.iter().any(|cloud| name.starts_with(cloud.facts().variables))
}

/// All ways to name a share that is no folder.
pub(super) fn forms() -> String {
    let forms: Vec<&str> = Cloud::ALL.iter().map(|cloud| cloud.form()).collect();
    forms.join(", ")
}

/// A call that nobody waits for any more must not try for minutes: too many of those, and no further one is made.
fn retry(deadline: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.,
        },
        max_retries: 3,
        retry_timeout: deadline,
    }
}

fn limits(deadline: Duration) -> [(ClientConfigKey, String); 2] {
    let within = |time: Duration| format!("{}ms", time.as_millis());
    [
        (ClientConfigKey::Timeout, within(deadline)),
        (ClientConfigKey::ConnectTimeout, within(deadline.min(Duration::from_secs(5)))),
    ]
}
