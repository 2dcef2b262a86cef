//! The DNS client: the only place that knows hickory.

use super::procedure::{Lookup, Naptr, Records, Srv};
use super::{Families, ResolveError, ResolverConfig};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig as Servers, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::SocketAddr;

#[derive(Clone)]
pub(super) struct Dns {
    resolver: TokioResolver,
}

impl Dns {
    pub fn new(config: &ResolverConfig) -> Result<Self, String> {
        let mut builder = if config.name_servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| error.to_string())?
        } else {
            let servers = config.name_servers.iter().map(name_server).collect();
            let servers = Servers::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = config.lookup_timeout;
        options.attempts = config.attempts;
        options.cache_size = config.cache_entries_max;
        options.ip_strategy = match config.families {
            Families::V4 => LookupIpStrategy::Ipv4Only,
            Families::V6 => LookupIpStrategy::Ipv6Only,
            Families::V4ThenV6 => LookupIpStrategy::Ipv4AndIpv6,
            Families::V6ThenV4 => LookupIpStrategy::Ipv6AndIpv4,
        };
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { resolver })
    }

    pub async fn lookup(&self, lookup: &Lookup) -> Records {
        let result = match lookup {
            Lookup::Naptr(name) => self.records(name, RecordType::NAPTR, naptr).await.map(Records::Naptr),
            Lookup::Srv(name) => self.records(name, RecordType::SRV, srv).await.map(Records::Srv),
            // Without the root's dot, so that the search list of the system counts, as in any other program.
            Lookup::Addresses(name) => match Name::from_utf8(name) {
                Err(_) => return Records::Failed(ResolveError::InvalidName),
                Ok(name) => self.resolver.lookup_ip(name).await.map(|found| Records::Addresses(found.iter().collect())),
            },
        };
        match result {
            Ok(records) => records,
            Err(error) => failure(&error),
        }
    }

    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, NetError> {
        let mut name = Name::from_utf8(name)?;
        // The names of services are complete.
        name.set_fqdn(true);
        let found = self.resolver.lookup(name, kind).await?;
        Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect())
    }
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(naptr) = data else { return None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Naptr {
        order: naptr.order,
        preference: naptr.preference,
        flags: text(&naptr.flags),
        service: text(&naptr.services),
        replacement: naptr.replacement.to_ascii(),
    })
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_ascii() })
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

fn failure(error: &NetError) -> Records {
    if error.is_no_records_found() || error.is_nx_domain() {
        return Records::None;
    }
    Records::Failed(match error {
        NetError::Timeout => ResolveError::Timeout,
        NetError::Proto(_) => ResolveError::InvalidName,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => ResolveError::NotFound,
        _ => ResolveError::ServerFailure,
    })
}
