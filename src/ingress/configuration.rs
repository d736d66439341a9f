//! The configuration of nginx: one file, made anew whenever something has changed, as ingress-nginx writes it
//! (`rootfs/etc/nginx/template/nginx.tmpl`), without what is about other things than routing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::host::Host;
use super::locations::{self, Location};
use super::site::{Backend, Site};
use crate::lab::certificate_files;

/// All that a controller is to do.
#[derive(Debug, Clone, Default)]
pub struct Controller {
    /// The hosts with rules of their own.
    pub hosts: BTreeMap<Host, Site>,
    /// All other hosts.
    pub others: Site,
    /// Where each backend is: the pods that are ready.
    pub endpoints: BTreeMap<Backend, Vec<SocketAddr>>,
    /// Whether it serves IPv6.
    pub ipv6: bool,
}

/// The name of the configuration's file.
pub const CONFIGURATION: &str = "nginx.conf";

/// The certificate of hosts that have no other.
pub const DEFAULT_CERTIFICATE: &str = "default";

/// What does not depend on the rules. Temporary files are put where the configuration is.
const BEGIN: &str = r#"# Made by nslab of the rules in `ingress`: what is changed here is lost.
daemon off;
user root;
pid nginx.pid;
worker_processes 1;
worker_shutdown_timeout 240s;
events { worker_connections 1024; }
http {
    log_format routed '$remote_addr "$request" $host $status $proxy_upstream_name $upstream_addr';
    access_log /dev/stdout routed;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server_tokens off;
    server_names_hash_bucket_size 512;
    variables_hash_bucket_size 256;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_connect_timeout 5s;
    proxy_next_upstream error timeout;
    proxy_next_upstream_tries 3;
    proxy_redirect off;
    map $http_upgrade $connection_upgrade { default upgrade; "" close; }
    map $http_host $best_http_host { default $http_host; "" $host; }
    proxy_set_header Host $best_http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $best_http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Scheme $scheme;
    proxy_set_header X-Scheme $scheme;
    proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
    proxy_set_header Proxy "";
"#;

impl Controller {
    /// The text of the configuration.
    pub fn configuration(&self) -> String {
        let mut text = BEGIN.to_owned();
        for (backend, endpoints) in self.endpoints.iter().filter(|(_, endpoints)| !endpoints.is_empty()) {
            let servers: String = endpoints.iter().map(|own| format!(" server {own} max_fails=0;")).collect();
            let _ = writeln!(text, "    upstream {} {{{servers} }}", backend.upstream());
        }
        self.server(None, &self.others, &mut text);
        for (host, site) in &self.hosts {
            self.server(Some(host), site, &mut text);
        }
        text.push_str("}\n");
        text
    }

    fn server(&self, host: Option<&Host>, site: &Site, text: &mut String) {
        let name = host.map_or_else(|| "_".to_owned(), Host::server_name);
        let default = if host.is_none() { " default_server" } else { "" };
        let _ = writeln!(text, "    server {{\n        server_name {name};");
        for address in ["", "[::]:"].iter().take(if self.ipv6 { 2 } else { 1 }) {
            let _ = writeln!(text, "        listen {address}80{default};\n        listen {address}443 ssl{default};");
        }
        let [certificate, key] = certificate_files(site.certificate.as_deref().unwrap_or(DEFAULT_CERTIFICATE));
        let _ = writeln!(text, "        ssl_certificate {certificate};\n        ssl_certificate_key {key};");
        for location in locations::of(site) {
            self.location(&location, site, text);
        }
        text.push_str("    }\n");
    }

    fn location(&self, location: &Location<'_>, site: &Site, text: &mut String) {
        let upstream = location.backend.map(Backend::upstream);
        let has_endpoints = |backend: &Backend| self.endpoints.get(backend).is_some_and(|own| !own.is_empty());
        let _ = writeln!(text, "        location {} {{", location.matcher);
        let _ = writeln!(text, "            set $proxy_upstream_name \"{}\";", upstream.as_deref().unwrap_or("-"));
        if site.certificate.is_some() && location.rule.is_some_and(|rule| rule.ssl_redirect) {
            text.push_str("            if ($scheme = http) { return 308 https://$host$request_uri; }\n");
        }
        match (location.backend, upstream) {
            (Some(backend), Some(upstream)) if has_endpoints(backend) => {
                if let Some((rule, rewrite)) = location.rule.and_then(|rule| Some((rule, rule.rewrite.as_ref()?))) {
                    let _ = writeln!(text, "            rewrite \"(?i){}\" \"{}\" break;", rule.path, rewrite.as_str());
                }
                let _ = writeln!(text, "            proxy_pass http://{upstream};");
            }
            // A service without pods that are ready, and what nobody takes.
            (Some(_), _) => text.push_str("            return 503;\n"),
            (None, _) => text.push_str("            return 404;\n"),
        }
        text.push_str("        }\n");
    }
}
