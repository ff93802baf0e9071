//! Binds what was typed to what a cmdlet takes: names in any case, shortened where that is clear, values read into their types.

use crate::administration::{ActiveServers, Refusal};
use crate::cmdlet::{About, Kind, Parameter};
use crate::fault::Fault;
use crate::grammar::tree::{Argument, Command, Value};
use crate::names::{Database, Fqdn, Identity, Share};
use crate::nearest::nearest;
use crate::span::{Span, Spanned};

/// What was given to a cmdlet, each of its kind.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Given {
    values: Vec<(&'static str, Bound)>,
}

/// A value of a kind.
#[derive(Clone, PartialEq, Debug)]
enum Bound {
    Text(String),
    Fqdn(Fqdn),
    Identity(Identity),
    Share(Share),
    Word(&'static str),
    Switch(bool),
    Servers(ActiveServers),
}

macro_rules! getter {
    ($(#[$about:meta])* $get:ident, $need:ident, $kind:ident, $type:ty) => {
        $(#[$about])*
        pub fn $get(&self, name: &str) -> Option<&$type> {
            match self.get(name) {
                Some(Bound::$kind(value)) => Some(value),
                _ => None,
            }
        }

        /// The same, of a parameter that must be there.
        ///
        /// # Errors
        /// It is not there.
        pub fn $need(&self, name: &str) -> Result<&$type, Refusal> {
            self.$get(name).ok_or_else(|| Refusal::refused(format!("-{name} is missing.")))
        }
    };
}

impl Given {
    getter!(
        /// A text.
        text, need_text, Text, String
    );
    getter!(
        /// The name of a host or a pool.
        fqdn, need_fqdn, Fqdn, Fqdn
    );
    getter!(
        /// An identity.
        identity, need_identity, Identity, Identity
    );
    getter!(
        /// A share.
        share, need_share, Share, Share
    );
    getter!(
        /// One of a parameter's words, as the parameter spells it.
        word, need_word, Word, &'static str
    );
    getter!(
        /// A change of the list of servers.
        servers, need_servers, Servers, ActiveServers
    );

    /// Whether a switch is there and on.
    pub fn is_on(&self, name: &str) -> bool {
        self.switch(name) == Some(true)
    }

    /// A switch: `None` when it is not there, which for `-Confirm` is not the same as off.
    pub fn switch(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(Bound::Switch(on)) => Some(*on),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Bound> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

/// Binds a command's arguments.
///
/// # Errors
/// The first that does not fit, or what is missing.
pub(crate) fn bind(about: &'static About, command: &Command) -> Result<Given, Fault> {
    let mut given = Given::default();
    let mut typed: Vec<(&'static Parameter, Span)> = Vec::new();
    let mut after_switch: Option<&Parameter> = None;
    let mut arguments = command.arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let (parameter, value, span) = match argument {
            Argument::Parameter { name, value } => {
                let parameter = resolve(about, name)?;
                let value = match (value, parameter.kind) {
                    (Some(value), _) => Some(value),
                    (None, Kind::Switch) => None,
                    (None, _) => match arguments.peek() {
                        Some(Argument::Value(value)) => {
                            arguments.next();
                            Some(value)
                        }
                        _ => None,
                    },
                };
                (parameter, value, name.span)
            }
            Argument::Value(value) => {
                let free = |p: &&Parameter| p.positional && typed.iter().all(|(t, _)| t.name != p.name);
                if let Some(switch) = after_switch.filter(|_| matches!(value.it, Value::Bool(_))) {
                    let what = format!("-{} takes no value behind a blank", switch.name);
                    return Err(Fault::new(value.span, what).nearest(Some(format!("-{}:{}", switch.name, value.it))));
                }
                let Some(parameter) = about.parameters().find(free) else { return Err(no_place(about, &typed, value)) };
                (parameter, Some(value), value.span)
            }
        };
        if given.get(parameter.name).is_some() {
            return Err(Fault::new(span, format!("-{} stands here twice", parameter.name)));
        }
        let bound = read(parameter, value, span)?;
        after_switch = (parameter.kind == Kind::Switch && value.is_none()).then_some(parameter);
        // A switch that says what to do, and is off, says nothing.
        if !(parameter.mandatory && bound == Bound::Switch(false)) {
            typed.push((parameter, span));
        }
        given.values.push((parameter.name, bound));
    }
    complete(about, command, &typed)?;
    Ok(given)
}

/// The parameter that a name means: the name itself, another name of it, or a beginning that no other has.
fn resolve(about: &'static About, name: &Spanned<String>) -> Result<&'static Parameter, Fault> {
    let is = |p: &&Parameter| {
        p.name.eq_ignore_ascii_case(&name.it) || p.alias.is_some_and(|a| a.eq_ignore_ascii_case(&name.it))
    };
    if let Some(parameter) = about.parameters().find(is) {
        return Ok(parameter);
    }
    let begins =
        |p: &&'static Parameter| p.name.get(..name.it.len()).is_some_and(|start| start.eq_ignore_ascii_case(&name.it));
    let found: Vec<&'static Parameter> = about.parameters().filter(begins).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let names: Vec<String> = about.parameters().filter(|p| p.is_here()).map(Parameter::dashed).collect();
            let typed = format!("-{}", name.it);
            let near = nearest(&typed, names.iter().map(String::as_str)).map(str::to_owned);
            Err(Fault::new(name.span, format!("{} has no parameter {typed}", about.name))
                .expected(one_of(&names))
                .nearest(near))
        }
        several => {
            let names: Vec<String> = several.iter().map(|p| p.dashed()).collect();
            Err(Fault::new(name.span, format!("-{} can mean several parameters", name.it)).expected(one_of(&names)))
        }
    }
}

impl Parameter {
    fn dashed(&self) -> String {
        format!("-{}", self.name)
    }

    fn is_here(&self) -> bool {
        !matches!(self.kind, Kind::Absent(_))
    }
}

fn no_place(about: &About, typed: &[(&'static Parameter, Span)], value: &Spanned<Value>) -> Fault {
    let open = |p: &&Parameter| p.is_here() && typed.iter().all(|(t, _)| t.name != p.name);
    let names: Vec<String> = about.parameters().filter(open).map(Parameter::dashed).collect();
    let fault = Fault::new(value.span, format!("No parameter of {} takes this value", about.name));
    fault.expected(if names.is_empty() { "the end of the line".into() } else { one_of(&names) })
}

/// The one type of database.
const CHAT: &str = "PersistentChat";

/// Reads a value into the parameter's kind.
fn read(parameter: &Parameter, value: Option<&Spanned<Value>>, span: Span) -> Result<Bound, Fault> {
    if let Kind::Absent(why) = parameter.kind {
        return Err(Fault::new(span, format!("-{} has no meaning here: {why}", parameter.name)));
    }
    let Some(value) = value else {
        if parameter.kind == Kind::Switch {
            return Ok(Bound::Switch(true));
        }
        let fault = Fault::new(span, format!("-{} has no value", parameter.name));
        return Err(fault.expected(expected(parameter.kind)));
    };
    if parameter.kind == Kind::Servers {
        return servers(value).map(Bound::Servers);
    }
    if let (Kind::Switch, Value::Bool(on)) = (parameter.kind, &value.it) {
        return Ok(Bound::Switch(*on));
    }
    let wrong = |what: String| Fault::new(value.span, what).expected(expected(parameter.kind));
    let Value::Text(text) = &value.it else {
        return Err(wrong(format!("-{} does not take {}", parameter.name, called(&value.it))));
    };
    match parameter.kind {
        Kind::Fqdn => Fqdn::parse(text).map(Bound::Fqdn).map_err(wrong),
        Kind::Identity => Identity::parse(text).map(Bound::Identity).map_err(|what| {
            let near = Fqdn::parse(text).ok().map(|fqdn| format!("service:{fqdn}"));
            wrong(what).nearest(near)
        }),
        Kind::Share => Share::parse(text).map(Bound::Share).map_err(wrong),
        Kind::OneOf(words) => match words.iter().find(|w| w.eq_ignore_ascii_case(text)) {
            Some(word) => Ok(Bound::Word(word)),
            None => {
                let near = nearest(text, words.iter().copied());
                Err(wrong(format!("-{} has no value `{text}`", parameter.name)).nearest(near))
            }
        },
        Kind::DatabaseType if text.eq_ignore_ascii_case(CHAT) => Ok(Bound::Word(CHAT)),
        Kind::DatabaseType if text.eq_ignore_ascii_case("PersistentChatCompliance") => {
            let why = Database::parse("mgccomp").err().unwrap_or_default();
            Err(Fault::new(value.span, why).expected(CHAT))
        }
        Kind::DatabaseType => {
            Err(wrong(format!("There is no database of the type `{text}` here")).nearest(nearest(text, [CHAT])))
        }
        Kind::Switch => Err(wrong(format!("-{} does not take a text", parameter.name))),
        Kind::Text | Kind::Servers | Kind::Absent(_) if text.is_empty() => {
            Err(wrong(format!("The value of -{} is empty", parameter.name)))
        }
        Kind::Text | Kind::Servers | Kind::Absent(_) => Ok(Bound::Text(text.clone())),
    }
}

/// Names of servers, or what is to become of the list.
fn servers(value: &Spanned<Value>) -> Result<ActiveServers, Fault> {
    match &value.it {
        Value::Null => Ok(ActiveServers::Clear),
        Value::List(items) if items.is_empty() => Ok(ActiveServers::Clear),
        Value::Table(entries) => {
            let (mut add, mut remove, mut replace) = (Vec::new(), Vec::new(), None);
            for (key, names) in entries {
                match key.it.to_ascii_lowercase().as_str() {
                    "add" => add = hosts(names)?,
                    "remove" => remove = hosts(names)?,
                    "replace" => replace = Some(hosts(names)?),
                    _ => {
                        return Err(Fault::new(
                            key.span,
                            format!("A list of servers cannot be changed by `{}`", key.it),
                        )
                        .expected("Add, Remove or Replace")
                        .nearest(nearest(&key.it, ["Add", "Remove", "Replace"])));
                    }
                }
            }
            if let Some(both) = add.iter().find(|name| remove.contains(name)) {
                return Err(Fault::new(value.span, format!("{both} is to be added and removed at once")));
            }
            match replace {
                Some(list) if entries.len() == 1 => Ok(ActiveServers::Set(list)),
                Some(_) => Err(Fault::new(value.span, "Replace stands alone: it says the whole list")),
                None if add.is_empty() && remove.is_empty() => {
                    Err(Fault::new(value.span, "This table changes nothing")
                        .expected("@{Add=\"name\"} or @{Remove=\"name\"}"))
                }
                None => Ok(ActiveServers::Change { add, remove }),
            }
        }
        _ => hosts(value).map(ActiveServers::Set),
    }
}

fn hosts(value: &Spanned<Value>) -> Result<Vec<Fqdn>, Fault> {
    let items = match &value.it {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let mut names: Vec<Fqdn> = Vec::new();
    for item in items {
        let Value::Text(text) = &item.it else {
            let what = format!("The name of a server cannot be {}", called(&item.it));
            return Err(Fault::new(item.span, what).expected("names of servers"));
        };
        let name = Fqdn::parse(text).map_err(|what| Fault::new(item.span, what).expected("names of servers"))?;
        if names.contains(&name) {
            return Err(Fault::new(item.span, format!("{name} stands in the list twice")));
        }
        names.push(name);
    }
    Ok(names)
}

/// Whether all that must be there is, and nothing that does not go together.
fn complete(about: &About, command: &Command, typed: &[(&'static Parameter, Span)]) -> Result<(), Fault> {
    let mut sets = about.sets();
    for (i, (parameter, span)) in typed.iter().enumerate() {
        if parameter.sets.is_empty() {
            continue;
        }
        sets.retain(|set| parameter.sets.contains(set));
        if sets.is_empty() {
            let other = typed[..i].iter().rfind(|(p, _)| !p.sets.is_empty() && p.sets != parameter.sets);
            let other = other.map_or_else(|| "what stands before it".into(), |(p, _)| p.dashed());
            return Err(Fault::new(*span, format!("-{} does not go together with {other}", parameter.name)));
        }
    }
    let lacks = |set: &&str| -> Vec<&'static Parameter> {
        let in_set = |p: &&Parameter| p.sets.is_empty() || p.sets.contains(set);
        let there = |p: &&Parameter| typed.iter().any(|(t, _)| t.name == p.name);
        about.parameters().filter(|p| p.mandatory && in_set(p) && !there(p)).collect()
    };
    let best = sets.iter().map(lacks).min_by_key(Vec::len).unwrap_or_default();
    if best.is_empty() {
        return Ok(());
    }
    let first: Vec<&str> = best.iter().map(|p| p.name).collect();
    // Where several sets are open, the first of each is as good.
    let mut ways: Vec<String> = Vec::new();
    for set in &sets {
        let way = lacks(set).iter().map(|p| p.dashed()).collect::<Vec<_>>().join(" and ");
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    let what = if ways.len() > 1 {
        format!("{} does not say what to do", about.name)
    } else {
        format!("{} lacks {}", about.name, first.iter().map(|n| format!("-{n}")).collect::<Vec<_>>().join(" and "))
    };
    let fault = Fault::new(command.name.span, what);
    Err(if ways.len() > 1 {
        fault.expected(ways.join(", or "))
    } else {
        fault.expected(format!("it as in: {}", about.example))
    })
}

/// What a kind takes, for an error.
fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Absent(_) => "a text".into(),
        Kind::Fqdn => "a name such as bos-db-1.litwareinc.com".into(),
        Kind::Identity => "service:FQDN or PersistentChatServer:FQDN".into(),
        Kind::Share => r"\\server\share, a folder such as /srv/share, or a URL".into(),
        Kind::OneOf(words) => one_of(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()),
        Kind::DatabaseType => CHAT.into(),
        Kind::Switch => "$true or $false".into(),
        Kind::Servers => "names of servers, @{Add=\"name\"}, @{Remove=\"name\"}, or $null".into(),
    }
}

fn called(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "a text",
        Value::Null => "$null",
        Value::Bool(_) => "$true or $false",
        Value::List(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
