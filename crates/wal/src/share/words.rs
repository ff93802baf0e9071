//! What a store says, in words that help.

use object_store::Error;

/// Why a call was in vain. A server of buckets answers in XML, of which the code and the message are for people; the rest quotes the request.
pub(super) fn why(error: &Error) -> String {
    let said = with_causes(error);
    let Some(code) = between(&said, "<Code>", "</Code>") else {
        return match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "its server refuses us".to_owned(),
            _ => said,
        };
    };
    let message = between(&said, "<Message>", "</Message>").and_then(|text| text.lines().next());
    let message = message.map_or_else(String::new, |text| format!(": {text}"));
    let what = match code {
        "NoSuchBucket" | "ContainerNotFound" => "there is no such bucket on its server",
        "AuthenticationFailed" | "AuthorizationFailure" => {
            "the key in AZURE_STORAGE_ACCOUNT_KEY is not that of AZURE_STORAGE_ACCOUNT_NAME, or may not do that from here"
        }
        "AuthorizationPermissionMismatch" => "the key may not do that here",
        "InvalidAccessKeyId" | "NotSignedUp" => "its server does not know the key that AWS_ACCESS_KEY_ID names",
        "SignatureDoesNotMatch" => "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID, or AWS_REGION is wrong",
        "AccessDenied" | "AllAccessDisabled" => "the key may not do that here",
        "ExpiredToken" | "InvalidToken" => "AWS_SESSION_TOKEN is no longer valid",
        "RequestTimeTooSkewed" => "the clocks of this machine and of its server disagree",
        "NotImplemented" => "its server cannot do what is asked of it",
        _ => "its server refused",
    };
    format!("{what} ({code}{message})")
}

/// What a library says, with what it leaves to its causes.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_in_xml_only_what_is_for_people_is_told() {
        let xml = "403 Forbidden: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>It does not match</Message>\
            <StringToSign>AWS4 something long</StringToSign></Error>";
        let error = Error::Generic { store: "S3", source: xml.into() };
        let said = why(&error);
        assert!(said.starts_with("AWS_SECRET_ACCESS_KEY does not belong"), "{said}");
        assert!(said.ends_with("(SignatureDoesNotMatch: It does not match)"), "{said}");
        let error = Error::Generic { store: "local", source: "no space".into() };
        assert_eq!(why(&error), "Generic local error: no space");
    }
}
