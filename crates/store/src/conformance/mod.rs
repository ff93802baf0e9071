//! What every engine must do: one suite, one test a case, one file for each part of the interface.
//!
//! An engine's tests say `conformance!(make)`, where `make` is an async function that answers a new, empty store as [`Made`]. A case
//! that is not listed here is dead code, and the compiler says so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

pub(crate) mod accounts;
pub(crate) mod amendments;
pub(crate) mod direct;
pub(crate) mod directory;
pub(crate) mod files;
pub(crate) mod items;
pub(crate) mod log;
pub(crate) mod maintenance;
pub(crate) mod model;
pub(crate) mod personal;
pub(crate) mod search;
pub(crate) mod support;

use crate::Store;
use std::any::Any;
use std::sync::Arc;

/// A new, empty store.
pub(crate) struct Made {
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// What has to live as long as it, such as a directory.
    pub(crate) keep: Box<dyn Any + Send>,
}

/// The whole suite for one engine.
macro_rules! conformance {
    ($make:ident) => {
        $crate::conformance::cases! { $make,
            log {
                logs_are_numbered_and_chained_whatever_is_written_at_once
                a_repeated_draft_yields_its_entry
                client_ids_are_remembered_as_long_as_asked
                a_batch_is_written_whole_or_not_at_all
                times_never_run_back
                pages_are_found_in_all_ways
                a_page_is_found_by_date
                rows_are_found_by_number
                a_room_that_is_not_there_has_an_empty_log
                drafts_for_a_room_that_is_not_there_are_refused
                heads_tell_the_ends_of_all_logs
                the_end_of_a_clearing_by_date_is_found
                what_is_stored_is_what_was_hashed
            }
            amendments {
                the_latest_edit_is_shown
                a_purge_beats_a_removal_beats_a_retraction
                what_is_no_earlier_message_is_not_amended
                a_purge_erases_and_the_chain_holds
                an_erasing_removal_takes_the_edits_along
                an_erasure_without_reason_is_found
                a_deleted_room_leaves_nothing
            }
            directory {
                a_snapshot_is_what_a_replay_yields
                names_are_unique
                numbers_are_never_given_twice
            }
            search {
                words_combine_as_asked
                neither_case_nor_accents_matter
                nothing_that_is_typed_breaks_a_query
                marks_stand_at_the_words
                authors_dates_and_rooms_narrow_a_search
                pages_go_through_all_hits_in_order
                few_hits_are_found_among_many_messages
                what_is_out_of_sight_is_not_found
                mentions_are_listed
            }
            personal {
                unread_is_what_comes_after_the_position
                following_keeps_its_order
                invitations_come_and_go
                feeds_come_and_go
                preferences_are_kept_as_they_were_put
            }
            items {
                items_stand_in_the_order_of_their_puts
                only_the_newest_of_a_node_stay
                items_go_one_by_one_or_with_their_node
                a_node_is_read_for_everybody
            }
            direct {
                a_message_is_there_once_and_read_by_both
                a_repeated_message_yields_the_one_that_is_there
                pages_of_messages_are_found_in_all_ways
                times_of_messages_never_run_back
                who_reads_on_misses_nothing_that_is_written_at_once
                partners_are_listed_by_their_last_message
                messages_come_from_an_archive_as_they_were
                messages_and_items_survive_a_rebuild
            }
            accounts {
                passwords_and_failures
                keys_for_old_clients
                sign_ins
                tokens
                webhooks
            }
            files {
                a_file_is_seen_when_it_is_complete
                a_message_takes_its_files
                an_edit_gives_and_takes_files
                files_go_with_what_is_erased
                loose_files_are_swept
                a_file_of_no_room_goes_with_the_first_message_that_says_it
                unsent_files_are_bounded
                addresses_have_a_key
            }
            maintenance {
                facts_are_told
                a_rebuild_changes_nothing
                a_closed_store_says_so
            }
        }

        /// Random histories against a model.
        mod model {
            #[test]
            fn random_histories_read_as_the_model_says() {
                $crate::conformance::model::random_histories_read_as_the_model_says(super::$make);
            }
        }
    };
}

macro_rules! cases {
    ($make:ident, $($group:ident { $($case:ident)* })*) => { $(
        mod $group { $(
            #[tokio::test]
            async fn $case() {
                let made = super::$make().await;
                $crate::conformance::$group::$case(std::sync::Arc::clone(&made.store)).await;
                drop(made.keep);
            }
        )* }
    )* };
}

pub(crate) use {cases, conformance};
