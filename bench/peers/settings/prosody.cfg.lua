-- Prosody as it is measured. What is not here is as Debian's package has it; words in @...@ are filled in at each start.
-- Everything durable is in PostgreSQL; limits are off; no TLS, because everything is on one machine.
run_as_root = true -- only heeded by root; its database is another user's
pidfile = "@HOME@/prosody.pid"
data_path = "@HOME@/data"
certificates = "@HOME@/certs"
plugin_paths = {}
daemonize = false

modules_enabled = {
	"disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "pep", "private", "smacks", "vcard4",
	"vcard_legacy", "csi_simple", "ping", "time", "uptime", "version", "posix",
	-- not "limits"
}
modules_disabled = { "s2s", "offline" }

interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
c2s_direct_tls_ports = {}
s2s_ports = {}
http_ports = {}
https_ports = {}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
network_settings = {
	tcp_backlog = 4096,
	-- With it, which is the default, whoever asks one thing after the other waits 40 ms for each answer.
	nagle = false,
}

-- By default it collects in small steps over the whole heap, which is several times as much work with so many people.
gc = { mode = "generational" }

authentication = "internal_hashed"
password_hash = "SHA-256"
default_iteration_count = @ITERATIONS@

-- The default is 64: with more people than that, each delivery asks the database for the recipient's list.
blocklist_cache_size = 20000

storage = "sql"
sql = {
	driver = "PostgreSQL", host = "127.0.0.1", port = @POSTGRES_PORT@, database = "@DATABASE@", username = "@DATABASE_USER@", password = "",
}

log = { { levels = { min = "warn" }, to = "file", filename = "@HOME@/prosody.log" } }

VirtualHost "@DOMAIN@"

Component "@ROOMS@" "muc"
	modules_enabled = { "muc_mam" }
	restrict_room_creation = false
	muc_room_locking = false
	muc_room_default_public = true
	muc_room_default_persistent = true
	muc_room_default_history_length = 20
	muc_room_cache_size = 10000
	muc_log_by_default = true
	muc_log_expires_after = "never"
	max_archive_query_results = 250
