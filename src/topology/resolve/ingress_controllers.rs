//! Ingress controllers: which namespaces are one, and the nginx that each of them runs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::ingress::{self, Sites};
use super::ingress_backends::Backends;
use super::net::{Net, ResolvedNamespace};
use super::service_pods::Pods;
use super::services::Services;
use crate::ingress::{CONFIGURATION, Controller};
use crate::lab::{Family, GRACE, NsName, PortProtocol, Program, Ready, Restart, Runs, Stop, StopSignal};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{File, Ingress};

/// The class of controllers whose class is not written.
const CLASS: &str = "nginx";
/// nginx by its name, and where it finds its configuration: where it starts.
const COMMAND: [&str; 7] = ["nginx", "-p", ".", "-c", CONFIGURATION, "-e", "stderr"];
/// How many bytes of configuration are worth making, for all controllers together.
const LARGEST: usize = 32 << 20;
/// A machine with many labs may be slow.
const WITHIN: Duration = Duration::from_secs(20);

/// What each controller runs.
pub fn programs(
    file: &File,
    net: &Net<'_>,
    services: &Services,
    found: &mut Collector<'_>,
) -> BTreeMap<NsName, Program> {
    let controllers: Vec<&ResolvedNamespace<'_>> =
        net.namespaces.iter().filter(|own| own.written.ingress_controller.is_some() && !own.name.is_host()).collect();
    if file.ingress.is_empty() && controllers.is_empty() {
        return BTreeMap::new();
    }
    let classes: Vec<&str> = controllers.iter().map(|own| class(own)).collect();
    names_are_unique(file, found);
    let mut taken: HashMap<&str, Vec<&Ingress>> = HashMap::new();
    for own in &file.ingress {
        let wanted = own.ingress_class_name.as_ref().map(|class| (class.value.0.as_str(), class.span));
        // One that names no class is for the controller that there is.
        match (wanted, classes.first()) {
            (None, Some(first)) => taken.entry(first).or_default().push(own),
            (Some((name, _)), Some(_)) if classes.contains(&name) => taken.entry(name).or_default().push(own),
            (Some((name, span)), Some(first)) => {
                let message = format!("no controller here has the class `{name}`: this ingress is left to others");
                let help =
                    format!("theirs is `{first}`; with `ingress_controller: {{ class: {name} }}` it is this one");
                found.tell(Diagnostic::warning(Code::IngressIgnored, span, message).help(help));
            }
            (_, None) => nobody(own, file, net, found),
        }
    }
    let backends = Backends::new(file, services, Pods::new(net, &services.nodes));
    let mut sites: BTreeMap<&str, Sites> = BTreeMap::new();
    for class in classes {
        let all = taken.get(class).map_or(&[][..], Vec::as_slice);
        sites.entry(class).or_insert_with(|| ingress::sites(all, &backends, found));
    }
    let mut programs = BTreeMap::new();
    let mut room = LARGEST;
    for own in controllers {
        let Some(sites) = sites.get(class(own)) else { continue };
        let program = program(own, sites, &backends);
        let size = program.files.values().map(String::len).sum();
        let Some(rest) = room.checked_sub(size) else {
            let span = own.written.ingress_controller.as_ref().map_or_else(Span::default, |own| own.span);
            let message = format!("with this controller, configurations of nginx have more than {LARGEST} bytes");
            let fault = Diagnostic::new(Code::TooMany, span, message);
            found.add(fault.help("take fewer controllers, rules or pods".to_owned()));
            break;
        };
        room = rest;
        programs.insert(own.name.clone(), program);
    }
    programs
}

/// The class of a controller.
fn class<'f>(controller: &ResolvedNamespace<'f>) -> &'f str {
    let written = controller.written.ingress_controller.as_ref();
    written.and_then(|own| own.class.as_ref()).map_or(CLASS, |class| &class.value.0)
}

fn names_are_unique(file: &File, found: &mut Collector<'_>) {
    let mut names: HashMap<String, Span> = HashMap::new();
    for own in &file.ingress {
        let name = own.full_name();
        if let Some(first) = names.insert(name.clone(), own.name.span) {
            let message = format!("there are two ingresses `{name}`");
            found.add(Diagnostic::new(Code::NameTwice, own.name.span, message).also(first, "the first"));
        }
    }
}

/// Rules that nobody carries out would be a silent mistake.
fn nobody(own: &Ingress, file: &File, net: &Net<'_>, found: &mut Collector<'_>) {
    if !file.cluster && net.names.are_whole() {
        let message = "nobody carries this ingress out";
        let help = "make a pod its controller: `ingress_controller: {}`".to_owned();
        found.add(Diagnostic::new(Code::NoIngressController, own.name.span, message).help(help));
    }
}

fn program(own: &ResolvedNamespace<'_>, sites: &Sites, backends: &Backends<'_, '_>) -> Program {
    let rules = sites.of.values().flat_map(|site| &site.rules).map(|rule| &rule.backend);
    let defaults = sites.of.values().filter_map(|site| site.default.as_ref());
    let endpoints = rules.chain(defaults).map(|backend| (backend.clone(), backends.endpoints(backend, own)));
    let mut controller =
        Controller { endpoints: endpoints.collect(), ipv6: own.has(Family::Ipv6), ..Controller::default() };
    for (host, site) in &sites.of {
        match host {
            Some(host) => drop(controller.hosts.insert(host.clone(), site.clone())),
            None => controller.others = site.clone(),
        }
    }
    let command = COMMAND.map(str::to_owned).to_vec();
    Program {
        files: [(CONFIGURATION.to_owned(), controller.configuration())].into(),
        certificates: sites.certificates.clone(),
        reload: Some(StopSignal::Hup),
        ready: Ready::Port { number: 80, protocol: PortProtocol::Tcp },
        within: WITHIN,
        restart: Restart::Always,
        // With TERM, it would end at once; with QUIT, it answers first who has asked.
        stop: Stop { signal: StopSignal::Quit, grace: GRACE },
        ..Program::plain(Runs::Command(command))
    }
}
