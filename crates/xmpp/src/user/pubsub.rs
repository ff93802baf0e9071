//! What a person publishes for his own clients and for those who see his presence: Personal Eventing (XEP-0163) on as much of XEP-0060 as that needs.

use super::bookmarks;
use crate::limits::{ITEM_BYTES, ITEMS, NODES};
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, text_of};
use holdfast_chat::keeping::Item;
use holdfast_domain::PrincipalId;
use minidom::Element;
use xmpp_parsers::data_forms::DataForm;

/// Where nodes' settings are kept.
const SETTINGS: &str = "pep-settings";
/// Bytes of a node's or an item's name; the store keeps both together in at most 2,000.
const NAME_BYTES: usize = 900;

/// A node of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node(String);

/// An item to be published.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) payload: String,
}

/// Who may read a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everybody.
    Open,
    /// Those who see the owner's presence.
    Presence,
    /// The owner.
    Whitelist,
}

impl Access {
    fn word(self) -> &'static str {
        match self {
            Access::Open => "open",
            Access::Presence => "presence",
            Access::Whitelist => "whitelist",
        }
    }

    fn read(word: &str) -> Option<Access> {
        [Access::Open, Access::Presence, Access::Whitelist].into_iter().find(|a| a.word() == word)
    }
}

/// A node's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    access: Access,
    most: usize,
}

impl Settings {
    /// Of a node of which nobody has said anything.
    pub(crate) fn of(node: &Node) -> Settings {
        match node.0.as_str() {
            ns::BOOKMARKS_1 => Settings { access: Access::Whitelist, most: ITEMS },
            "urn:xmpp:mds:displayed:0" => Settings { access: Access::Whitelist, most: ITEMS },
            _ => Settings { access: Access::Presence, most: 1 },
        }
    }

    /// What a form wants, on top of these.
    pub(crate) fn with(mut self, form: &DataForm) -> Result<Settings, StanzaError> {
        for field in &form.fields {
            let value = field.values.first().map_or("", String::as_str);
            match field.var.as_deref().unwrap_or_default() {
                "pubsub#access_model" => {
                    self.access = Access::read(value).ok_or_else(|| {
                        StanzaError::modify("not-acceptable").because(format!("`{value}` is no access model here"))
                    })?;
                }
                "pubsub#max_items" if value == "max" => self.most = ITEMS,
                "pubsub#max_items" => {
                    let most: usize =
                        value.parse().map_err(|_| StanzaError::bad("pubsub#max_items is a number or `max`"))?;
                    self.most = most.clamp(1, ITEMS);
                }
                _ => {}
            }
        }
        Ok(self)
    }

    /// As text, for keeping.
    pub(crate) fn kept(self) -> String {
        format!("{} {}", self.access.word(), self.most)
    }

    /// From that text.
    pub(crate) fn read(text: &str) -> Option<Settings> {
        let (access, most) = text.split_once(' ')?;
        Some(Settings { access: Access::read(access)?, most: most.parse().ok()? })
    }

    fn form(self) -> El {
        use crate::muc::config::{field, form_type};
        El::of(ns::DATA_FORMS, "x")
            .attr("type", "form")
            .child(form_type(ns::PUBSUB_NODE_CONFIG))
            .child(field("pubsub#access_model", "list-single", "Who may read it", self.access.word()))
            .child(field("pubsub#max_items", "text-single", "Items that are kept", self.most))
            .child(field("pubsub#persist_items", "boolean", "Whether items are kept (always)", 1))
    }
}

impl Node {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The place where its items are kept.
    pub(crate) fn kept_at(&self) -> String {
        format!("pep:{}", self.0)
    }

    fn read(element: &Element) -> Result<Node, StanzaError> {
        match element.attr("node") {
            Some(node) if !node.is_empty() && node.len() <= NAME_BYTES => Ok(Node::new(node)),
            _ => Err(StanzaError::bad("say which node").with(El::of(ns::PUBSUB_ERRORS, "nodeid-required"))),
        }
    }
}

impl Session {
    /// What somebody asks of his own nodes.
    pub(crate) async fn pubsub(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let mut verbs = iq.payload.children();
        let verb = verbs.next().ok_or_else(|| StanzaError::bad("say what is to be done"))?;
        match (verb.name(), iq.set) {
            ("items", false) => self.published_by(self.user(), iq).await,
            ("publish", true) => self.publish(iq, verb).await,
            ("retract", true) => {
                let node = Node::read(verb)?;
                let ids: Vec<String> = verb.children().filter_map(|i| i.attr("id").map(str::to_owned)).collect();
                let notify = matches!(verb.attr("notify"), Some("true" | "1"));
                let wanted = ids.len();
                if self.retract_items(&node, ids, notify).await? == 0 && wanted > 0 {
                    return Err(StanzaError::cancel("item-not-found"));
                }
                Ok(None)
            }
            ("create", true) => {
                let node = Node::read(verb)?;
                let form = iq.payload.get_child("configure", ns::PUBSUB_BASE).and_then(form_in).transpose()?;
                let settings = form.map_or(Ok(Settings::of(&node)), |form| Settings::of(&node).with(&form))?;
                if self.settings(self.user(), &node).await?.is_some() {
                    return Err(StanzaError::cancel("conflict").because("there is such a node"));
                }
                self.keep_settings(&node, settings).await?;
                Ok(None)
            }
            ("configure", false) => {
                let node = Node::read(verb)?;
                let settings =
                    self.settings(self.user(), &node).await?.ok_or_else(|| StanzaError::cancel("item-not-found"))?;
                let configure = El::new("configure").attr("node", &node.0).child(settings.form());
                Ok(Some(El::of(ns::PUBSUB_OWNER, "pubsub").child(configure)))
            }
            ("configure", true) => {
                let node = Node::read(verb)?;
                let settings =
                    self.settings(self.user(), &node).await?.ok_or_else(|| StanzaError::cancel("item-not-found"))?;
                let form = form_in(verb).ok_or_else(|| StanzaError::bad("there is no form"))??;
                self.keep_settings(&node, settings.with(&form)?).await?;
                Ok(None)
            }
            ("delete", true) => {
                let node = Node::read(verb)?;
                self.settings(self.user(), &node).await?.ok_or_else(|| StanzaError::cancel("item-not-found"))?;
                self.door.chat.drop_node(self.user(), &node.kept_at()).await?;
                self.door.chat.drop_items(self.user(), SETTINGS, vec![node.0.clone()]).await?;
                let event = El::new("delete").attr("node", &node.0);
                self.notify(&node, Access::Whitelist, event).await;
                Ok(None)
            }
            ("purge", true) => {
                let node = Node::read(verb)?;
                self.door.chat.drop_node(self.user(), &node.kept_at()).await?;
                Ok(None)
            }
            ("default", false) => {
                let default = El::new("default").child(Settings { access: Access::Presence, most: 1 }.form());
                Ok(Some(El::of(ns::PUBSUB_OWNER, "pubsub").child(default)))
            }
            ("subscribe" | "unsubscribe" | "subscriptions" | "affiliations", _) => {
                let why = "whoever sees somebody's presence and can deal with a node is told of it";
                Err(StanzaError::cancel("feature-not-implemented").because(why))
            }
            _ => Err(StanzaError::bad("there is nothing like this to be done with nodes")),
        }
    }

    async fn publish(&mut self, iq: &Iq<'_>, verb: &Element) -> Result<Option<El>, StanzaError> {
        let node = Node::read(verb)?;
        let options = iq.payload.get_child("publish-options", ns::PUBSUB_BASE).and_then(form_in).transpose()?;
        let items: Vec<&Element> = verb.children().filter(|c| c.is("item", ns::PUBSUB_BASE)).collect();
        let [item] = items.as_slice() else { return Err(StanzaError::bad("items are published one at a time")) };
        let payload = item.children().next();
        let text = payload.map(text_of).unwrap_or_default();
        if text.len() > ITEM_BYTES {
            let error =
                StanzaError::modify("not-acceptable").because(format!("an item has at most {ITEM_BYTES} bytes"));
            return Err(error.with(El::of(ns::PUBSUB_ERRORS, "payload-too-big")));
        }
        if node.0 == ns::BOOKMARKS_OLD {
            let storage = payload.filter(|p| p.is("storage", ns::BOOKMARKS_OLD));
            let storage = storage.ok_or_else(|| StanzaError::bad("that is no list of bookmarks"))?.clone();
            self.replace_bookmarks(&storage).await?;
            return Ok(Some(published(&node, "current")));
        }
        let known = self.settings(self.user(), &node).await?;
        let settings = match (known, &options) {
            (Some(known), Some(options)) if known.with(options)? != known => {
                let error = StanzaError::cancel("conflict").because("the node has other settings");
                return Err(error.with(El::of(ns::PUBSUB_ERRORS, "precondition-not-met")));
            }
            (Some(known), _) => known,
            (None, options) => {
                if self.door.chat.kept_items(self.user(), SETTINGS).await?.len() >= NODES {
                    return Err(
                        StanzaError::wait("resource-constraint").because(format!("at most {NODES} nodes are kept"))
                    );
                }
                let settings = options.as_ref().map_or(Ok(Settings::of(&node)), |o| Settings::of(&node).with(o))?;
                self.keep_settings(&node, settings).await?;
                settings
            }
        };
        let id = match item.attr("id").filter(|id| !id.is_empty()) {
            Some(id) if id.len() > NAME_BYTES => return Err(StanzaError::bad("the id is too long")),
            Some(id) => id.to_owned(),
            None if settings.most == 1 => "current".to_owned(),
            None => uuid::Uuid::new_v4().to_string(),
        };
        self.publish_items(&node, vec![Published { id: id.clone(), payload: text }]).await?;
        if let Some(metadata) =
            payload.filter(|p| node.0 == ns::AVATAR_METADATA && p.is("metadata", ns::AVATAR_METADATA))
        {
            self.put_published_picture(&metadata.clone()).await?;
        }
        Ok(Some(published(&node, &id)))
    }

    /// Keeps items of a node and tells those who want to know.
    pub(crate) async fn publish_items(&mut self, node: &Node, items: Vec<Published>) -> Result<(), StanzaError> {
        if items.is_empty() {
            return Ok(());
        }
        let settings = match self.settings(self.user(), node).await? {
            Some(settings) => settings,
            None => {
                self.keep_settings(node, Settings::of(node)).await?;
                Settings::of(node)
            }
        };
        let now = self.door.chat.now();
        let kept = items.iter().map(|i| (i.id.clone(), now, i.payload.clone())).collect();
        self.door.chat.keep_items(self.user(), &node.kept_at(), kept, settings.most).await?;
        for item in &items {
            let item = El::new("item").attr("id", &item.id).raw(&item.payload);
            let event = El::new("items").attr("node", &node.0).child(item);
            self.notify(node, settings.access, event).await;
        }
        self.tell_old_bookmarks(node).await
    }

    /// Takes items out of a node. How many there were.
    pub(crate) async fn retract_items(
        &mut self,
        node: &Node,
        ids: Vec<String>,
        notify: bool,
    ) -> Result<usize, StanzaError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let gone = self.door.chat.drop_items(self.user(), &node.kept_at(), ids.clone()).await?;
        if notify && gone > 0 {
            let access = self.settings(self.user(), node).await?.unwrap_or(Settings::of(node)).access;
            let retracts = ids.iter().map(|id| El::new("retract").attr("id", id));
            self.notify(node, access, El::new("items").attr("node", &node.0).children(retracts)).await;
        }
        self.tell_old_bookmarks(node).await?;
        Ok(gone)
    }

    /// Older clients are told of bookmarks in their own way.
    async fn tell_old_bookmarks(&mut self, node: &Node) -> Result<(), StanzaError> {
        if node.0 == ns::BOOKMARKS_1 {
            let storage = bookmarks::old_form(&self.bookmarks().await?);
            let item = El::new("item").attr("id", "current").child(storage);
            let event = El::new("items").attr("node", ns::BOOKMARKS_OLD).child(item);
            self.notify(&Node::new(ns::BOOKMARKS_OLD), Access::Whitelist, event).await;
        }
        Ok(())
    }

    /// Tells the owner's clients that want it, and those of others who may read it.
    async fn notify(&mut self, node: &Node, access: Access, event: El) {
        let own = self.bare.clone();
        let message = |to: &str| {
            El::new("message")
                .attr("to", to)
                .attr("from", &own)
                .attr("type", "headline")
                .child(El::of(ns::PUBSUB_EVENT, "event").child(event.clone()))
        };
        let mut told = vec![self.user()];
        if access != Access::Whitelist {
            let sees = self.contacts().await.into_iter().filter(|c| c.from);
            told.extend(sees.filter_map(|c| self.person_at(&c.jid)));
        }
        for who in told {
            for resource in self.door.resources.available(who) {
                if resource.state().wants.contains(&node.0) {
                    resource.tell(message(&resource.jid).to_string().into());
                }
            }
        }
    }

    /// What a client that has said what it wants is told at once: the newest of its owner, and of those whose presence he sees.
    pub(crate) async fn tell_news(&mut self) {
        let wanted = std::mem::take(&mut self.news_of);
        if wanted.is_empty() {
            return;
        }
        if wanted.iter().any(|node| node == ns::BOOKMARKS_OLD)
            && let Ok(bookmarks) = self.bookmarks().await
        {
            let item = El::new("item").attr("id", "current").child(bookmarks::old_form(&bookmarks));
            let event = El::new("items").attr("node", ns::BOOKMARKS_OLD).child(item);
            let told = El::new("message").attr("from", &self.bare).attr("type", "headline");
            self.tell(told.child(El::of(ns::PUBSUB_EVENT, "event").child(event)));
        }
        let mut people = vec![self.user()];
        people.extend(self.contacts().await.iter().filter(|c| c.to).filter_map(|c| self.person_at(&c.jid)));
        for who in people {
            let Ok(settings) = self.door.chat.kept_items(who, SETTINGS).await else { return };
            for kept in settings.iter().filter(|s| wanted.contains(&s.id)) {
                let (node, may) = (Node::new(&kept.id), Settings::read(&kept.payload));
                if who != self.user() && may.is_some_and(|s| s.access == Access::Whitelist) {
                    continue;
                }
                let Ok(items) = self.door.chat.kept_items(who, &node.kept_at()).await else { return };
                if let Some(last) = items.last() {
                    let item = El::new("item").attr("id", &last.id).raw(&last.payload);
                    let event = El::new("items").attr("node", &node.0).child(item);
                    let from = self.address_of(who);
                    let told = El::new("message").attr("from", from).attr("type", "headline");
                    self.tell(told.child(El::of(ns::PUBSUB_EVENT, "event").child(event)));
                }
            }
        }
    }

    /// Items of somebody's node.
    pub(crate) async fn published_by(&mut self, who: PrincipalId, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let verb = iq.payload.get_child("items", ns::PUBSUB_BASE).ok_or_else(|| StanzaError::bad("say which items"))?;
        let node = Node::read(verb)?;
        let answer = |items: Vec<El>| {
            let items = El::new("items").attr("node", &node.0).children(items);
            Ok(Some(El::of(ns::PUBSUB_BASE, "pubsub").child(items)))
        };
        if node.0 == ns::BOOKMARKS_OLD && who == self.user() {
            let storage = bookmarks::old_form(&self.bookmarks().await?);
            return answer(vec![El::new("item").attr("id", "current").child(storage)]);
        }
        let settings = self.settings(who, &node).await?.ok_or_else(|| StanzaError::cancel("item-not-found"))?;
        if who != self.user() {
            let own = self.bare.clone();
            let sees = settings.access == Access::Open
                || settings.access == Access::Presence && self.contact_of(who, &own).await?.from;
            if !sees {
                let closed = El::of(ns::PUBSUB_ERRORS, "closed-node");
                return Err(StanzaError::auth("not-authorized").because("the node is not for everybody").with(closed));
            }
        }
        let wanted: Vec<&str> = verb.children().filter_map(|i| i.attr("id")).collect();
        let most: usize = verb.attr("max_items").and_then(|m| m.parse().ok()).unwrap_or(ITEMS);
        let items: Vec<Item> = self.door.chat.kept_items(who, &node.kept_at()).await?;
        let chosen: Vec<&Item> =
            items.iter().filter(|i| wanted.is_empty() || wanted.contains(&i.id.as_str())).collect();
        let newest = chosen.len().saturating_sub(most);
        answer(chosen[newest..].iter().map(|i| El::new("item").attr("id", &i.id).raw(&i.payload)).collect())
    }

    /// The nodes of somebody, as far as this person may know of them.
    pub(crate) async fn nodes_of(&mut self, who: PrincipalId) -> Result<Option<El>, StanzaError> {
        let nodes = self.door.chat.kept_items(who, SETTINGS).await?;
        let jid = self.address_of(who);
        let own = who == self.user();
        let shown =
            nodes.iter().filter(|n| own || Settings::read(&n.payload).is_some_and(|s| s.access == Access::Open));
        let item = |node: &Item| El::new("item").attr("jid", &jid).attr("node", &node.id);
        Ok(Some(El::of(ns::DISCO_ITEMS, "query").children(shown.map(item))))
    }

    async fn settings(&mut self, who: PrincipalId, node: &Node) -> Result<Option<Settings>, StanzaError> {
        let kept = self.door.chat.kept_items(who, SETTINGS).await?;
        Ok(kept.iter().find(|item| item.id == node.0).and_then(|item| Settings::read(&item.payload)))
    }

    async fn keep_settings(&mut self, node: &Node, settings: Settings) -> Result<(), StanzaError> {
        let item = (node.0.clone(), self.door.chat.now(), settings.kept());
        Ok(self.door.chat.keep_items(self.user(), SETTINGS, vec![item], NODES).await?)
    }
}

fn published(node: &Node, id: &str) -> El {
    let publish = El::new("publish").attr("node", &node.0).child(El::new("item").attr("id", id));
    El::of(ns::PUBSUB_BASE, "pubsub").child(publish)
}

/// The form in an element.
fn form_in(element: &Element) -> Option<Result<DataForm, StanzaError>> {
    let form = element.get_child("x", ns::DATA_FORMS)?.clone();
    Some(DataForm::try_from(form).map_err(|error| StanzaError::bad(error.to_string())))
}
