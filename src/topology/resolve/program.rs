//! Programs: what each namespace runs, and in which order they start.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use super::net::{Net, ResolvedNamespace};
use super::server;
use crate::lab::{
    GRACE, LabName, Limits, NsName, Places, PortProtocol, Program, ProgramName, ProgramRef, READY_WITHIN,
};
use crate::lab::{Ready, Restart, Runs, Server, Stop, StopSignal};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, NeededProgram, Spanned};

/// The programs of a namespace; its built-in servers are the last of them.
pub fn programs(
    namespace: &ResolvedNamespace<'_>,
    lab: &LabName,
    found: &mut Collector<'_>,
) -> IndexMap<ProgramName, Program> {
    let written = &namespace.written.run.entries;
    if namespace.name.is_host() {
        not_in_host(namespace, found);
        return IndexMap::new();
    }
    let servers = server::servers(namespace, lab, found);
    let of_servers = |(span, server): &(Span, Server)| {
        let (span, port, kind) = (*span, server.port, server.kind.to_string());
        server.protocols().iter().map(move |protocol| ((port, *protocol), (span, kind.clone())))
    };
    let mut ports: HashMap<(u16, PortProtocol), (Span, String)> = servers.iter().flat_map(of_servers).collect();
    controllers_ports(namespace, &mut ports, found);
    let mut programs = IndexMap::new();
    for (name, own) in written {
        if let Some(port) = own.ready.as_ref().and_then(|ready| ready.port.as_ref())
            && let Some((first, other)) =
                ports.insert((port.value.number, port.value.protocol), (port.span, name.value.to_string()))
        {
            let message = format!("port {} is `{other}`'s already", port.value.number);
            let help =
                "programs of one namespace share its network, as containers of a pod do: each needs a port of its own";
            let fault = Diagnostic::new(Code::ProgramPortTwice, port.span, message).help(help.to_owned());
            found.add(fault.also(first, format!("`{other}`")));
        }
        reserved(namespace, name, servers.first().map(|(span, _)| *span), found);
        programs.insert(name.value.clone(), program(&namespace.name, own, found));
    }
    if !servers.is_empty() {
        let servers = servers.into_iter().map(|(_, server)| server).collect();
        programs.insert(ProgramName::servers(), Program::of_servers(servers));
    }
    programs
}

/// What cannot be in `host`.
fn not_in_host(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) {
    let written = namespace.written;
    let programs = written.run.entries.first().map(|(name, _)| (name.span, "programs"));
    let servers = written.serve.first().map(|server| (server.span, "servers"));
    let controller = written.ingress_controller.as_ref().map(|own| (own.span, "ingress controllers"));
    for (span, what) in programs.into_iter().chain(servers).chain(controller) {
        let message = format!("{what} cannot run in `host`");
        let help = "the machine's own network has its own services, which a lab leaves alone; put it into a namespace";
        found.add(Diagnostic::new(Code::ProgramInHost, span, message).help(help.to_owned()));
    }
}

/// Names of programs that nslab gives itself.
fn reserved(
    namespace: &ResolvedNamespace<'_>,
    name: &Spanned<ProgramName>,
    servers: Option<Span>,
    found: &mut Collector<'_>,
) {
    let controller = namespace.written.ingress_controller.as_ref().map(|own| own.span);
    let (span, message) = match (servers, controller) {
        (Some(span), _) if name.value.is_servers() => (span, "built-in servers are a program of this name"),
        (_, Some(span)) if name.value == ProgramName::ingress() => {
            (span, "an ingress controller is a program of this name")
        }
        _ => return,
    };
    let fault = Diagnostic::new(Code::ReservedName, name.span, message).also(span, "here");
    found.add(fault.help("choose another name".to_owned()));
}

/// The ports of an ingress controller.
fn controllers_ports(
    namespace: &ResolvedNamespace<'_>,
    ports: &mut HashMap<(u16, PortProtocol), (Span, String)>,
    found: &mut Collector<'_>,
) {
    let Some(controller) = namespace.written.ingress_controller.as_ref().map(|own| own.span) else { return };
    for port in [80, 443] {
        if let Some((span, other)) = ports.insert((port, PortProtocol::Tcp), (controller, "nginx".to_owned())) {
            let message = format!("port {port} is `{other}`'s, and an ingress controller has it already");
            found.add(Diagnostic::new(Code::ProgramPortTwice, span, message).also(controller, "the controller"));
        }
    }
}

fn program(ns: &NsName, written: &schema::Program, found: &mut Collector<'_>) -> Program {
    let environment = &written.environment.entries;
    let stop = written.stop.as_ref();
    let limits = written.limits.as_ref();
    let within = written.ready.as_ref().and_then(|ready| ready.within.as_ref());
    let needs = written.needs.iter().map(|needed| reference(ns, &needed.value));
    Program {
        runs: Runs::Command(written.command.0.clone()),
        environment: environment.iter().map(|(key, value)| (key.value.0.clone(), value.value.0.clone())).collect(),
        user: written.user.as_ref().map(|user| user.value.0.clone()),
        directory: written.directory.as_ref().map(|directory| directory.value.0.clone()),
        files: written.files.entries.iter().map(|(name, text)| (name.value.0.clone(), text.value.0.clone())).collect(),
        certificates: BTreeMap::new(),
        reload: reload(written, found),
        ready: written.ready.as_ref().map_or(Ready::Running, |written| ready(written, found)),
        within: within.map_or(READY_WITHIN, |within| within.value),
        needs: needs.collect(),
        restart: written.restart.as_ref().map_or(Restart::Never, |restart| restart.value),
        stop: Stop {
            signal: stop.and_then(|stop| stop.signal.as_ref()).map_or(StopSignal::Term, |signal| signal.value),
            grace: stop.and_then(|stop| stop.grace.as_ref()).map_or(GRACE, |grace| grace.value),
        },
        limits: Limits {
            memory: limits.and_then(|limits| limits.memory.as_ref()).map(|memory| memory.value.0),
            open_files: limits.and_then(|limits| limits.open_files.as_ref()).map(|files| open_files(files, found)),
        },
    }
}

/// The signal at which a program reads its files anew.
fn reload(written: &schema::Program, found: &mut Collector<'_>) -> Option<StopSignal> {
    let reload = written.reload.as_ref()?;
    if written.files.entries.is_empty() && written.files.lost.is_empty() {
        let message = "`reload` is for `files`, and this program has none";
        found.add(Diagnostic::new(Code::ContradictoryKeys, reload.span, message));
    }
    Some(reload.value)
}

/// A program cannot begin with fewer files than it takes to load it.
fn open_files(written: &Spanned<u32>, found: &mut Collector<'_>) -> u64 {
    if written.value < 8 {
        let message = format!("with {} open files, no program can start", written.value);
        found.add(Diagnostic::new(Code::NumberOutOfRange, written.span, message).help("write 8 or more".to_owned()));
    }
    u64::from(written.value)
}

fn ready(written: &schema::Ready, found: &mut Collector<'_>) -> Ready {
    let port = written.port.as_ref().map(|port| {
        if port.value.protocol == PortProtocol::Sctp {
            let message = "whether a program listens is known for TCP and UDP";
            found.add(Diagnostic::new(Code::BadValue, port.span, message));
        }
        Ready::Port { number: port.value.number, protocol: port.value.protocol }
    });
    let file = written.file.as_ref().map(|file| Ready::File(file.value.0.clone()));
    let line = written.line.as_ref().map(|line| Ready::Line(line.value.0.clone()));
    let command = written.command.as_ref().map(|command| Ready::Command(command.0.clone()));
    let mut given = [port, file, line, command].into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if second.is_some() {
        let message = "`ready` has one of port, file, line and command";
        found.add(Diagnostic::new(Code::ContradictoryKeys, written.span, message));
    }
    first.unwrap_or_default()
}

fn reference(ns: &NsName, needed: &NeededProgram) -> ProgramRef {
    ProgramRef { ns: needed.ns.clone().unwrap_or_else(|| ns.clone()), name: needed.name.clone() }
}

/// Where each program is written, and the built-in servers of each namespace.
pub fn places(net: &Net<'_>, found: &Collector<'_>) -> Places {
    let of_namespace = |own: &ResolvedNamespace<'_>| {
        let written = own.written.run.entries.iter().map(|(name, _)| (name.value.clone(), name.span));
        let servers = own.written.serve.first().map(|first| (ProgramName::servers(), first.span));
        let of = |name| ProgramRef { ns: own.name.clone(), name };
        written.chain(servers).map(|(name, span)| (of(name), found.full_place(span))).collect::<Vec<_>>()
    };
    net.namespaces.iter().flat_map(of_namespace).collect()
}

/// A program, and what it needs with the places where that is written.
type Needs = HashMap<ProgramRef, Vec<(ProgramRef, Span)>>;

/// Checks that whatever a program needs is there, and that none needs itself, also not by way of others.
pub fn check(net: &Net<'_>, found: &mut Collector<'_>) {
    let mut needs = Needs::new();
    for own in &net.namespaces {
        for (name, program) in &own.written.run.entries {
            let of = |needed: &Spanned<NeededProgram>| (reference(&own.name, &needed.value), needed.span);
            let program = program.needs.iter().map(of).collect();
            needs.insert(ProgramRef { ns: own.name.clone(), name: name.value.clone() }, program);
        }
        if own.written.ingress_controller.is_some() {
            needs.entry(ProgramRef { ns: own.name.clone(), name: ProgramName::ingress() }).or_default();
        }
        if !own.written.serve.is_empty() {
            let servers = ProgramRef { ns: own.name.clone(), name: ProgramName::servers() };
            needs.entry(servers).or_default();
        }
    }
    for own in &net.namespaces {
        for (_, program) in &own.written.run.entries {
            for needed in &program.needs {
                exists(net, &reference(&own.name, &needed.value), needed.span, &needs, found);
            }
        }
    }
    let mut ends_well = BTreeSet::new();
    let mut all: Vec<&ProgramRef> = needs.keys().collect();
    all.sort();
    for program in all {
        follow(program, &needs, &mut Vec::new(), &mut ends_well, found);
    }
}

fn exists(net: &Net<'_>, needed: &ProgramRef, span: Span, needs: &Needs, found: &mut Collector<'_>) {
    if needs.contains_key(needed) {
        return;
    }
    let Some(own) = net.names.find(&needed.ns, span, found).and_then(|at| net.namespaces.get(at)) else { return };
    let is_lost = own.written.run.lost.iter().any(|lost| lost == needed.name.as_str());
    if is_lost || !own.written.whole {
        return;
    }
    let names = needs.keys().map(|other| match other.ns == needed.ns {
        true => other.name.to_string(),
        false => other.to_string(),
    });
    let help = found.did_you_mean(needed.name.as_str(), names);
    let message = format!("{} runs no program `{}`", needed.ns, needed.name);
    found.add(Diagnostic::new(Code::UnknownProgram, span, message).help(help));
}

/// Follows what a program needs. A circle is told once, where it closes.
fn follow<'n>(
    program: &'n ProgramRef,
    needs: &'n Needs,
    way: &mut Vec<&'n ProgramRef>,
    ends_well: &mut BTreeSet<&'n ProgramRef>,
    found: &mut Collector<'_>,
) {
    // So deep, a file is no longer meant seriously, and the stack has an end.
    const DEEPEST: usize = 1000;
    if ends_well.contains(program) || way.len() > DEEPEST {
        return;
    }
    way.push(program);
    for (needed, span) in needs.get(program).into_iter().flatten() {
        if let Some(at) = way.iter().position(|before| *before == needed) {
            let circle = way.iter().skip(at).copied().chain([needed]).map(ProgramRef::to_string);
            let circle = circle.collect::<Vec<_>>().join(", which needs ");
            let message = format!("these programs wait for each other: {circle}");
            found.add(Diagnostic::new(Code::ProgramLoop, *span, message));
        } else {
            follow(needed, needs, way, ends_well, found);
        }
    }
    way.pop();
    ends_well.insert(program);
}
