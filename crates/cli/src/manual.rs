//! Completions and manual pages, made from the same source as the help.

use crate::arguments::{Arguments, EXIT_STATUSES};
use crate::environment::Environment;
use clap::{Command, CommandFactory as _};

/// Prints the completions of a shell.
pub(crate) fn completions(
    shell: clap_complete::Shell,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "twinstack", &mut script);
    environment.stdout.print_bytes(&script)?;
    Ok(0)
}

/// Prints a manual page; 64 if there is no such command.
pub(crate) fn page(path: &[String], environment: &mut Environment<'_>) -> anyhow::Result<u8> {
    let mut tree = Arguments::command();
    tree.build();
    let mut command = &tree;
    for word in path {
        let Some(next) = command.find_subcommand(word) else {
            let named = path.join(" ");
            environment
                .stderr
                .print(&format!("error: there is no command `{named}`\n"))?;
            return Ok(64);
        };
        command = next;
    }
    environment.stdout.print_bytes(&roff(command)?)?;
    Ok(0)
}

/// The page of one command. The exit statuses have their own section, where readers of manuals look for them.
fn roff(command: &Command) -> anyhow::Result<Vec<u8>> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned();
    let command = command
        .clone()
        .after_help("")
        .after_long_help("")
        .display_name(&name);
    let children = command.get_subcommands().any(|child| !child.is_hide_set());
    let versioned = command.get_version().is_some();
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if children {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n");
    let about_lab = name == "twinstack" || name.starts_with("twinstack-lab");
    for (status, meaning) in EXIT_STATUSES
        .iter()
        .filter(|(status, _)| about_lab || *status != "125")
    {
        let meaning = meaning.replace('`', "");
        page.extend_from_slice(format!(".TP\n\\fB{status}\\fR\n{meaning}\n").as_bytes());
    }
    if versioned {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}
