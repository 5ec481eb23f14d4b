//! What people may do with a loop.

use super::{About, Action, Done, Report, Weight, any_name};
use crate::base::{Error, Result};
use crate::domain::Domain;
use crate::domain::auth::scopes;
use crate::domain::loops::Status;

const ABOUT: About =
    About { scope: scopes::LOOP_LIST, argument: ("NAME", "The loop"), example: "expire", ..super::ABOUT };

pub const RUN: Action<String, Report> = Action {
    about: About {
        name: "runLoop",
        route: "POST /loops/<loop>/run",
        scope: scopes::LOOP_RUN,
        command: "loop run <loop>",
        example: "reconcile",
        says: "Runs a loop now.",
        page: ("Run <loop> now", "Run now"),
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, ()| {
        let plan = domain.loops.plan(&name).await?;
        Ok(if plan.is_empty() { vec!["There is nothing to do.".into()] } else { lines(&plan) })
    }),
    run: work!(|domain, caller, name, ()| Ok(Report { report: domain.loops.run_for(&caller, &name).await? })),
};

pub const PAUSE: Action<String, Done> = Action {
    about: About {
        name: "pauseLoop",
        route: "POST /loops/<loop>/pause",
        scope: scopes::LOOP_PAUSE,
        command: "loop pause <loop>",
        says: "Keeps a loop from running by itself.",
        page: ("Pause <loop>", "Pause"),
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, ()| {
        let Status { name, why, .. } = find_status(&domain, &name)?;
        Ok(vec![
            format!("{name} does not run by itself until somebody resumes it. It can still be run by hand."),
            format!("Why it runs as often as it does: {why}."),
        ])
    }),
    run: done!(|domain, caller, name, ()| domain.loops.pause(&caller, &name, true)),
};

pub const RELEASE: Action<String, Report> = Action {
    about: About {
        name: "releaseLoop",
        route: "POST /loops/<loop>/release",
        scope: scopes::LOOP_RELEASE,
        command: "loop release <loop>",
        says: "Releases the brake of a loop for one run.",
        page: ("Release the brake of <loop>", "Release the brake"),
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, ()| {
        let Status { name, brake, .. } = find_status(&domain, &name)?;
        let why = brake.ok_or_else(|| Error::conflict("The brake of this loop is not on."))?;
        let mut effects =
            vec![format!("The brake holds it because {why}."), format!("The next run of {name} goes ahead:")];
        match domain.loops.plan(name).await {
            Ok(plan) => effects.extend(lines(&plan)),
            Err(error) => effects.push(format!("What it would do is not known now: {}.", error.message())),
        }
        Ok(effects)
    }),
    run: work!(|domain, caller, name, ()| Ok(Report { report: domain.loops.release(&caller, &name).await? })),
};

pub const RESUME: Action<String, Done> = Action {
    about: About {
        name: "resumeLoop",
        route: "POST /loops/<loop>/resume",
        scope: scopes::LOOP_PAUSE,
        command: "loop resume <loop>",
        says: "Lets a paused loop run by itself again.",
        page: ("Resume <loop>", "Resume"),
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, ()| {
        let Status { name, due, .. } = find_status(&domain, &name)?;
        Ok(vec![format!("{name} runs by itself again, first when it is due: {due}.")])
    }),
    run: done!(|domain, caller, name, ()| domain.loops.pause(&caller, &name, false)),
};

fn find_status(domain: &Domain, name: &str) -> Result<Status> {
    let found = domain.loops.list()?.into_iter().find(|each| each.name == name);
    found.ok_or_else(|| Error::not_found("There is no loop of this name."))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
