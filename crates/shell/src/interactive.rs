//! A session at a terminal: history, completion, lines that go on, questions.

use crate::complete::complete;
use crate::grammar;
use crate::session::{Attendant, CONTINUED, Ending, PROMPT, Session};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultPrompt, DefaultPromptSegment, Emacs, FileBackedHistory, KeyCode,
    KeyModifiers, MenuBuilder as _, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu,
    Signal, Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// How many lines are remembered.
const REMEMBERED: usize = 1_000;
const MENU: &str = "completion";

impl Session<'_> {
    /// Takes lines from the terminal until it is left by `exit` or Ctrl-D. Lines are remembered in the file `history`.
    ///
    /// # Errors
    /// The terminal failed.
    pub async fn interactive(&self, history: Option<&Path>) -> io::Result<Ending> {
        let mut editor = editor(history)?;
        loop {
            // Waiting for keys holds a thread up; the others go on.
            let (back, signal) = tokio::task::spawn_blocking(move || {
                let signal = editor.read_line(&Asking);
                (editor, signal)
            })
            .await
            .map_err(io::Error::other)?;
            editor = back;
            match signal? {
                Signal::Success(line) if matches!(line.trim(), "exit" | "quit") => return Ok(Ending::Done),
                Signal::Success(line) => {
                    self.run_typed(&line, &mut Terminal, &mut io::stdout()).await?;
                }
                Signal::CtrlD => return Ok(Ending::Done),
                // What was begun is forgotten.
                _ => {}
            }
        }
    }
}

fn editor(history: Option<&Path>) -> io::Result<Reedline> {
    let mut keys = default_emacs_keybindings();
    let menu = ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, menu);
    let editor = Reedline::create()
        .with_completer(Box::new(Completes))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU))))
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(Validates))
        .with_quick_completions(true)
        .with_partial_completions(true);
    match history {
        Some(file) => {
            let history = FileBackedHistory::with_file(REMEMBERED, file.to_path_buf()).map_err(io::Error::other)?;
            Ok(editor.with_history(Box::new(history)))
        }
        None => Ok(editor),
    }
}

/// The person at the terminal.
struct Terminal;

impl Attendant for Terminal {
    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        let prompt = DefaultPrompt::new(DefaultPromptSegment::Basic(question.to_owned()), DefaultPromptSegment::Empty);
        // Answers are not remembered as lines.
        let answer = Reedline::create().read_line(&prompt)?;
        Ok(match answer {
            Signal::Success(answer) => Some(answer),
            _ => None,
        })
    }
}

/// Whether a line goes on in the next one.
struct Validates;

impl Validator for Validates {
    fn validate(&self, line: &str) -> ValidationResult {
        match grammar::parse(line) {
            Err(fault) if fault.incomplete => ValidationResult::Incomplete,
            _ => ValidationResult::Complete,
        }
    }
}

struct Completes;

impl Completer for Completes {
    fn complete(&mut self, line: &str, at: usize) -> CompletionResult {
        let found: Vec<Suggestion> = complete(line, at)
            .into_iter()
            .map(|c| Suggestion {
                value: c.text,
                description: Some(c.about),
                span: reedline::Span::new(c.span.start, c.span.end),
                append_whitespace: true,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(found)
    }
}

/// The prompt, the same as files are shown with.
struct Asking;

impl Prompt for Asking {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        PROMPT.into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        CONTINUED.into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search: {}) ", search.term).into()
    }
}
