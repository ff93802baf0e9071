//! Administrators' work as commands (XEP-0133), and everybody's change of his own password.
//!
//! All of it is asked of the service as the web client asks it: the same rights, the same record of what was done.

use super::{Command, Done, Filled, Question, payload};
use crate::addresses::Target;
use crate::muc::config::field;
use crate::session::Session;
use crate::stanza::StanzaError;
use crate::xml::El;
use holdfast_chat::Mode;
use holdfast_chat::people::{NewUser, UserChange, UserFilter};
use holdfast_domain::principal::UserKind;
use holdfast_domain::{PrincipalId, Time};
use jid::Jid;

/// Addresses in a list at most.
const LISTED: usize = 1_000;

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Does {
    AddUser,
    DeleteUsers,
    DisableUsers,
    EnableUsers,
    EndSessions,
    ResetPassword,
    LastSignIn,
    Statistics,
    RegisteredNumber,
    DisabledNumber,
    OnlineNumber,
    RegisteredList,
    DisabledList,
    OnlineList,
    Announce,
    OwnPassword,
}

const WHO: Question = Question { var: "accountjid", kind: "jid-single", label: "The person's address" };
const WHOM: Question = Question { var: "accountjids", kind: "jid-multi", label: "Addresses of people" };
const PASSWORD: Question = Question { var: "password", kind: "text-private", label: "The new password" };
const AGAIN: Question = Question { var: "password-verify", kind: "text-private", label: "The new password again" };

/// A command of administrators, by its name in XEP-0133.
macro_rules! admin {
    ($node:literal, $name:literal, $does:ident, $asks:expr) => {
        Command {
            node: concat!("http://jabber.org/protocol/admin#", $node),
            name: $name,
            everybody: false,
            does: Does::$does,
            asks: $asks,
        }
    };
}

/// All commands.
pub(super) const ALL: &[Command] = &[
    Command {
        node: "change-password",
        name: "Change your password",
        everybody: true,
        does: Does::OwnPassword,
        asks: &[
            Question { var: "old_password", kind: "text-private", label: "Your present password" },
            PASSWORD,
            AGAIN,
        ],
    },
    admin!("add-user", "Add a user", AddUser, &[WHO, PASSWORD, AGAIN]),
    admin!(
        "delete-user",
        "Delete users: they are disabled for good, since the records name them",
        DeleteUsers,
        &[WHOM]
    ),
    admin!("disable-user", "Disable users", DisableUsers, &[WHOM]),
    admin!("reenable-user", "Enable users again", EnableUsers, &[WHOM]),
    admin!("end-user-session", "End people's sessions", EndSessions, &[WHOM]),
    admin!("change-user-password", "Give somebody a new password", ResetPassword, &[WHO, PASSWORD]),
    admin!("get-user-lastlogin", "When somebody signed in last", LastSignIn, &[WHO]),
    admin!("user-stats", "Figures of a user", Statistics, &[WHO]),
    admin!("get-registered-users-num", "Number of users", RegisteredNumber, &[]),
    admin!("get-disabled-users-num", "Number of disabled users", DisabledNumber, &[]),
    admin!("get-online-users-num", "Number of users who are online", OnlineNumber, &[]),
    admin!("get-registered-users-list", "List of users", RegisteredList, &[]),
    admin!("get-disabled-users-list", "List of disabled users", DisabledList, &[]),
    admin!("get-online-users-list", "List of users who are online", OnlineList, &[]),
    admin!(
        "announce",
        "Say something to everybody who is online",
        Announce,
        &[Question { var: "announcement", kind: "text-multi", label: "What" }]
    ),
];

impl Session {
    /// Does it.
    pub(super) async fn administer(&mut self, does: Does, form: &Filled) -> Result<Done, StanzaError> {
        let (chat, caller) = (self.door.chat.clone(), self.caller.clone());
        match does {
            Does::AddUser => {
                verified(form)?;
                let (name, password) = (self.new_name(form.one("accountjid")?)?, form.one("password")?.to_owned());
                let new = NewUser {
                    name: name.clone(),
                    display_name: None,
                    password: Some(password),
                    admin: false,
                    kind: UserKind::Person,
                    may_chat: None,
                };
                chat.add_user(&caller, new, Mode::Do).await?;
                Ok(Done::Said(format!("{name} was added")))
            }
            Does::DeleteUsers | Does::DisableUsers => {
                let whom = self.accounts(form)?;
                self.put_disabled(&whom, true).await?;
                Ok(Done::Said(format!("{} disabled; nobody is deleted, since the records name them", said(&whom))))
            }
            Does::EnableUsers => {
                let whom = self.accounts(form)?;
                self.put_disabled(&whom, false).await?;
                Ok(Done::Said(format!("{} enabled", said(&whom))))
            }
            Does::EndSessions => {
                let whom = self.accounts(form)?;
                for (user, resource, jid) in &whom {
                    match resource {
                        Some(name) => {
                            let found = self.door.resources.named(*user, name);
                            let found = found.ok_or_else(|| {
                                StanzaError::cancel("item-not-found").because(format!("{jid} is not connected"))
                            })?;
                            chat.end_connection(&caller, *user, || found.end()).await?;
                        }
                        None => {
                            chat.end_sign_ins(&caller, *user).await?;
                        }
                    }
                }
                Ok(Done::Said(format!("Sessions ended of {}", said(&whom))))
            }
            Does::ResetPassword => {
                let who = self.account(form.one("accountjid")?)?;
                chat.reset_password(&caller, who.0, form.one("password")?).await?;
                Ok(Done::Said(format!(
                    "{} was given a new password, and all that was signed in with the old one ended",
                    who.2
                )))
            }
            Does::LastSignIn => {
                let (user, _, jid) = self.account(form.one("accountjid")?)?;
                let seen = chat.user(&caller, user).await?.last_seen_at;
                Ok(Done::Found(vec![field("accountjid", "jid-single", "", jid), last_sign_in(seen)]))
            }
            Does::Statistics => {
                let (user, _, jid) = self.account(form.one("accountjid")?)?;
                let view = chat.user(&caller, user).await?;
                let sign_ins = chat.sign_ins(&caller, user).await?.len();
                let resources = self.door.resources.of(user);
                let list = |var, label, values: Vec<String>| {
                    let field = El::new("field").attr("var", var).attr("type", "text-multi").attr("label", label);
                    field.children(values.into_iter().map(|v| El::new("value").text(v)))
                };
                Ok(Done::Found(vec![
                    field("accountjid", "jid-single", "", jid),
                    last_sign_in(view.last_seen_at),
                    field("disabled", "boolean", "Disabled", u8::from(view.user.disabled)),
                    field("signins", "text-single", "Sign-ins of browsers", sign_ins),
                    list(
                        "onlineresources",
                        "Clients that are connected",
                        resources.iter().map(|r| r.name.clone()).collect(),
                    ),
                ]))
            }
            Does::RegisteredNumber => {
                let users = self.user_names(None).await?.len();
                Ok(number("registeredusersnum", users))
            }
            Does::DisabledNumber => {
                let users = self.user_names(Some(true)).await?.len();
                Ok(number("disabledusersnum", users))
            }
            Does::OnlineNumber => Ok(number("onlineusersnum", chat.online(&caller)?.len())),
            Does::RegisteredList => {
                let names = self.user_names(None).await?;
                Ok(self.list("registereduserjids", &names))
            }
            Does::DisabledList => {
                let names = self.user_names(Some(true)).await?;
                Ok(self.list("disableduserjids", &names))
            }
            Does::OnlineList => {
                let online: Vec<String> = chat.online(&caller)?.into_iter().map(|person| person.name).collect();
                Ok(self.list("onlineuserjids", &online))
            }
            Does::Announce => {
                chat.announce_to_all(&caller, &form.all("announcement").join("\n"), Mode::Do).await?;
                Ok(Done::Said("Everybody who is online was told".to_owned()))
            }
            Does::OwnPassword => {
                verified(form)?;
                chat.change_password(&caller, form.one("old_password")?, form.one("password")?).await?;
                Ok(Done::Said(
                    "Your password was changed, and all that was signed in with the old one ended".to_owned(),
                ))
            }
        }
    }

    fn list(&self, var: &str, names: &[String]) -> Done {
        let values = names.iter().take(LISTED).map(|name| El::new("value").text(self.door.domains.of_person(name)));
        let list = El::new("field").attr("var", var).attr("type", "jid-multi").children(values);
        let more = names.len().saturating_sub(LISTED);
        let more = (more > 0).then(|| field("more", "text-single", "Further ones that are not listed", more));
        Done::Found([list].into_iter().chain(more).collect())
    }

    /// The names of all users whom somebody could be, in the order of their numbers.
    async fn user_names(&mut self, disabled: Option<bool>) -> Result<Vec<String>, StanzaError> {
        let filter = UserFilter { disabled, limit: 0, ..UserFilter::default() };
        // The right is asked there; the names alone need no look at everybody's credentials.
        self.door.chat.users(&self.caller, filter).await?;
        let directory = self.door.chat.directory();
        let wanted = directory.users().filter(|u| u.kind != UserKind::Imported);
        let wanted = wanted.filter(|u| disabled.is_none_or(|d| u.disabled == d));
        Ok(wanted.map(|u| u.name.to_string()).collect())
    }

    async fn put_disabled(&mut self, whom: &[Account], disabled: bool) -> Result<(), StanzaError> {
        for (user, _, jid) in whom {
            let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
            self.door.chat.change_user(&self.caller, *user, change, Mode::Do).await.map_err(|error| {
                let text = format!("{jid}: {error}");
                StanzaError::from(error).because(text)
            })?;
        }
        Ok(())
    }

    /// Whose accounts are meant; all are looked up before anything is done.
    fn accounts(&self, form: &Filled) -> Result<Vec<Account>, StanzaError> {
        let whom: Vec<Account> =
            form.all("accountjids").into_iter().map(|jid| self.account(jid)).collect::<Result<_, _>>()?;
        if whom.is_empty() { Err(payload("`accountjids` has to be said")) } else { Ok(whom) }
    }

    /// Whose an address is, disabled or not.
    fn account(&self, said: &str) -> Result<Account, StanzaError> {
        let jid = Jid::new(said).map_err(|error| payload(format!("`{said}`: {error}")))?;
        let nobody = || StanzaError::cancel("item-not-found").because(format!("nobody here is `{said}`"));
        let node = jid.node().filter(|_| jid.domain().as_str() == self.door.domains.people).ok_or_else(nobody)?;
        let directory = self.door.chat.directory();
        let user = directory.user_named(node.as_str()).filter(|u| u.kind != UserKind::Imported).ok_or_else(nobody)?;
        Ok((user.id, jid.resource().map(|r| r.as_str().to_owned()), jid.to_string()))
    }

    /// The name of somebody who is to be added.
    fn new_name(&self, said: &str) -> Result<String, StanzaError> {
        let jid = Jid::new(said).map_err(|error| payload(format!("`{said}`: {error}")))?;
        match self.door.domains.target(&self.door.chat.directory(), &jid) {
            Target::Person(_, None) => Ok(jid.node().map(|n| n.as_str().to_owned()).unwrap_or_default()),
            _ => Err(payload(format!("say NAME@{}", self.door.domains.people))),
        }
    }
}

fn last_sign_in(seen: Option<Time>) -> El {
    let seen = seen.map_or_else(|| "never".to_owned(), |at| at.to_string());
    field("lastlogin", "text-single", "Signed in last", seen)
}

fn number(var: &str, number: usize) -> Done {
    Done::Found(vec![field(var, "text-single", "", number)])
}

/// Who, perhaps by which connection, and as it was said.
type Account = (PrincipalId, Option<String>, String);

fn said(whom: &[Account]) -> String {
    whom.iter().map(|(_, _, jid)| jid.as_str()).collect::<Vec<_>>().join(", ")
}

/// Demands that a new password that was said twice was said alike.
fn verified(form: &Filled) -> Result<(), StanzaError> {
    match form.all("password-verify").first() {
        Some(again) if form.one("password")? != *again => Err(payload("the two new passwords differ")),
        _ => Ok(()),
    }
}
