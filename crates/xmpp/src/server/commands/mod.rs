//! Commands that are asked for by form (XEP-0050): which there are for whom, and how one is run.
//!
//! Each has one form at most, so nothing has to be remembered between the question and the answer: whoever sends the form has the command run.

mod administration;

use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use administration::Does;
use holdfast_domain::rights;
use minidom::Element;
use uuid::Uuid;
use xmpp_parsers::data_forms::{DataForm, DataFormType};

/// Values of a form's field at most.
const VALUES: usize = 1_000;

/// Something that can be asked as a command.
struct Command {
    /// The name of it that programs know.
    node: &'static str,
    /// What people read.
    name: &'static str,
    /// Whether everybody may, rather than administrators.
    everybody: bool,
    does: Does,
    /// What is to be said; nothing: it is done at once.
    asks: &'static [Question],
}

/// A field of a command's form.
struct Question {
    var: &'static str,
    kind: &'static str,
    label: &'static str,
}

/// What a command answers.
enum Done {
    /// A sentence.
    Said(String),
    /// Fields of a form.
    Found(Vec<El>),
}

/// What somebody filled in.
struct Filled(DataForm);

impl Filled {
    /// All values of a field.
    fn all(&self, var: &str) -> Vec<&str> {
        let field = self.0.fields.iter().find(|f| f.var.as_deref() == Some(var));
        field.into_iter().flat_map(|f| &f.values).map(String::as_str).filter(|v| !v.is_empty()).take(VALUES).collect()
    }

    /// The one value of a field.
    fn one(&self, var: &str) -> Result<&str, StanzaError> {
        self.all(var).first().copied().ok_or_else(|| payload(format!("`{var}` has to be said")))
    }
}

/// What was sent along with a command does not do (section 4.4).
fn payload(why: impl Into<String>) -> StanzaError {
    StanzaError::bad(why).with(El::of(ns::COMMANDS, "bad-payload"))
}

impl Session {
    fn is_admin(&self) -> bool {
        rights::is_admin(&self.door.chat.directory(), self.user())
    }

    fn may(&self, command: &Command) -> bool {
        command.everybody || self.is_admin()
    }

    /// The commands that this person may give, as items of a list.
    pub(super) fn command_items(&self) -> El {
        let jid = &self.door.domains.people;
        let item = |c: &Command| El::new("item").attr("jid", jid).attr("node", c.node).attr("name", c.name);
        let list = El::of(ns::DISCO_ITEMS, "query").attr("node", ns::COMMANDS);
        list.children(administration::ALL.iter().filter(|c| self.may(c)).map(item))
    }

    /// What a node of commands is; `None` if it is none of them.
    pub(super) fn command_info(&self, node: &str) -> Option<Result<El, StanzaError>> {
        let info = |kind, name, features: &[&str]| {
            let identity = [("automation", kind, name)];
            super::disco::info(&identity, features.iter().copied()).attr("node", node)
        };
        if node == ns::COMMANDS {
            return Some(Ok(info("command-list", "Commands", &[ns::COMMANDS])));
        }
        let command = administration::ALL.iter().find(|c| c.node == node)?;
        Some(match self.may(command) {
            true => Ok(info("command-node", command.name, &[ns::COMMANDS, ns::DATA_FORMS])),
            false => Err(forbidden()),
        })
    }

    /// Runs a command, or asks for what it needs.
    pub(super) async fn command(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let node = iq.payload.attr("node").unwrap_or_default();
        let Some(command) = administration::ALL.iter().find(|c| c.node == node) else {
            return Err(StanzaError::cancel("item-not-found").because(format!("there is no command `{node}`")));
        };
        if !self.may(command) {
            return Err(forbidden());
        }
        let session = match iq.payload.attr("sessionid") {
            Some(said) if Uuid::parse_str(said).is_err() => {
                let why = "this is none of the sessions that were begun here";
                return Err(StanzaError::bad(why).with(El::of(ns::COMMANDS, "bad-sessionid")));
            }
            Some(said) => said.to_owned(),
            None => Uuid::new_v4().to_string(),
        };
        let answer = El::of(ns::COMMANDS, "command").attr("node", node).attr("sessionid", session);
        match iq.payload.attr("action") {
            None | Some("execute" | "complete") => {}
            Some("cancel") => return Ok(Some(answer.attr("status", "canceled"))),
            Some("next" | "prev") => {
                let why = "this command has one form; complete or cancel it";
                return Err(StanzaError::bad(why).with(El::of(ns::COMMANDS, "bad-action")));
            }
            Some(other) => {
                let why = format!("`{other}` is no action");
                return Err(StanzaError::bad(why).with(El::of(ns::COMMANDS, "malformed-action")));
            }
        }
        let filled = match filled(iq.payload)? {
            Some(form) => Some(form),
            None if command.asks.is_empty() => None,
            None => {
                let actions = El::new("actions").attr("execute", "complete").child(El::new("complete"));
                return Ok(Some(answer.attr("status", "executing").child(actions).child(form(command))));
            }
        };
        let none = || Filled(DataForm::new(DataFormType::Submit, "", Vec::new()));
        let done = self.administer(command.does, &filled.unwrap_or_else(none)).await?;
        let answer = answer.attr("status", "completed");
        Ok(Some(match done {
            Done::Said(text) => answer.child(El::new("note").attr("type", "info").text(text)),
            Done::Found(fields) => {
                let form = El::of(ns::DATA_FORMS, "x").attr("type", "result").field("title", command.name);
                answer.child(form.child(crate::muc::config::form_type(ns::ADMIN)).children(fields))
            }
        }))
    }
}

fn forbidden() -> StanzaError {
    StanzaError::auth("forbidden").because("this is for administrators")
}

/// The form that was sent along, if there is one.
fn filled(command: &Element) -> Result<Option<Filled>, StanzaError> {
    let Some(x) = command.get_child("x", ns::DATA_FORMS) else { return Ok(None) };
    let form = DataForm::try_from(x.clone()).map_err(|error| payload(error.to_string()))?;
    match form.type_ {
        DataFormType::Submit => Ok(Some(Filled(form))),
        _ => Err(payload("the form has to be of type `submit`")),
    }
}

/// What a command asks.
fn form(command: &Command) -> El {
    let field = |q: &Question| {
        let field = El::new("field").attr("var", q.var).attr("type", q.kind).attr("label", q.label);
        field.child(El::new("required"))
    };
    El::of(ns::DATA_FORMS, "x")
        .attr("type", "form")
        .field("title", command.name)
        .child(crate::muc::config::form_type(ns::ADMIN))
        .children(command.asks.iter().map(field))
}
