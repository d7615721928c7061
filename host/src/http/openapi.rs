//! The OpenAPI document: what the routes say of themselves, and what holds for all of them.
//!
//! Tags, operation identifiers, path parameters and the answer to errors follow from the routes and are added here, so
//! that no route can forget them.

use axum::Router;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::Tag;
use utoipa::openapi::{
    Components, Content, Info, License, OpenApi, OpenApiBuilder, Ref, Required, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

use super::{State, problem};

/// What stands in paths.
const PARAMETERS: [(&str, &str); 26] = [
    ("account", "Name of the account."),
    ("agent", "Name of the agent."),
    ("agent-group", "Name of the agent group."),
    ("calendar", "Name of the calendar."),
    ("callback-rules", "Name of the rules of callbacks."),
    ("deployment", "Name of the deployment."),
    ("digest", "SHA-256 of the bytes, in hexadecimal."),
    ("element", "Identifier of the element."),
    ("endpoint", "Name of the endpoint."),
    ("interaction", "Identifier of the interaction, a UUID."),
    ("key", "The entry's key."),
    ("message", "Number of the outgoing message."),
    ("offer", "Identifier of the offer: the interaction's, a colon, and a number."),
    ("place", "Name of the place."),
    ("place-group", "Name of the place group."),
    ("queue", "Name of the queue."),
    ("replay", "Name of the replay."),
    ("response", "Name of the standard response."),
    ("signing-key", "Name of the signing key."),
    ("skill", "Name of the skill."),
    ("statistic", "Name of the statistic."),
    ("table", "Name of the table."),
    ("token", "Name of the token."),
    ("version", "Number of the version."),
    ("webhook", "Name of the webhook."),
    ("workflow", "Name of the workflow."),
];

const DESCRIPTION: &str =
    "Clients submit interactions; workflows and strategies move them into queues; agents take them out.

Every request but those under `server` needs a bearer token. The roles beside an operation are alternatives: a token \
needs one of them, and `administrator` may do everything. Tokens of the account `system` act in every account.

Errors are `application/problem+json`; tell them apart by `code`. Moments are milliseconds since 1970-01-01T00:00:00Z. \
Lists have a `next` cursor; pass it on as `cursor` to get the next page. A page may be short, or even empty, and still \
have `next`: the server looks at so many rows at a time. Only a page without `next` is the last.

Names that strategies, webhooks and workflows go by: statistics stand with `deployments`, types of messages with \
`webhooks`, kinds of elements and the names in conditions with the schema `ElementKind`.";

/// Puts the routes of each noun together.
pub(super) fn collect<const N: usize>(nouns: [(&'static str, OpenApiRouter<State>); N]) -> (Router<State>, OpenApi) {
    let mut components = Components::new();
    components.schemas.insert("Problem".to_owned(), problem::Body::schema());
    let mut parts = Vec::new();
    problem::Body::schemas(&mut parts);
    components.schemas.extend(parts);
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token, `sbx_…`."));
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(token.build()));

    let mut info = Info::new("Signalbox", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);

    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .tags(Some(nouns.iter().map(|(noun, _)| tag(noun))))
        .build();
    let mut all = OpenApiRouter::with_openapi(document);
    for (noun, mut router) in nouns {
        for (path, item) in &mut router.get_openapi_mut().paths.paths {
            for operation in operations(item) {
                complete(noun, path, operation);
            }
        }
        all = all.merge(router);
    }
    all.split_for_parts()
}

fn tag(noun: &str) -> Tag {
    let mut tag = Tag::new(noun);
    if noun == "deployments" {
        tag.description = Some(crate::stats::REFERENCE.to_owned());
    }
    tag
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn complete(noun: &str, path: &str, operation: &mut Operation) {
    operation.tags = Some(vec![noun.to_owned()]);
    operation.operation_id = operation.operation_id.take().map(|id| format!("{noun}_{id}"));
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<_> = names.map(path_parameter).collect();
    parameters.extend(operation.parameters.take().unwrap_or_default());
    if !parameters.is_empty() {
        operation.parameters = Some(parameters);
    }
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description("It was not done; `code` says why.")
        .content("application/problem+json", content)
        .build();
    operation.responses.responses.insert("default".to_owned(), response.into());
}

fn path_parameter(name: &str) -> utoipa::openapi::path::Parameter {
    let description = PARAMETERS.iter().find_map(|(known, description)| (*known == name).then_some(*description));
    let (kind, format) = match name {
        "message" | "version" => (Type::Integer, None),
        "interaction" => (Type::String, Some(SchemaFormat::Custom("uuid".to_owned()))),
        _ => (Type::String, None),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(description)
        .schema(Some(Schema::Object(ObjectBuilder::new().schema_type(kind).format(format).build())))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_an_identifier_of_its_own_a_summary_and_known_parameters() {
        let mut api = super::super::openapi();
        let mut identifiers = BTreeSet::new();
        for (path, item) in &mut api.paths.paths {
            for operation in super::operations(item) {
                let id = operation.operation_id.clone().unwrap();
                assert!(identifiers.insert(id.clone()), "{id} twice");
                assert!(operation.summary.is_some(), "{id} has no summary");
                for parameter in operation.parameters.iter().flatten() {
                    assert!(parameter.description.is_some(), "{path}: {} has no description", parameter.name);
                }
            }
        }
        assert!(identifiers.len() > 50, "{}", identifiers.len());
    }
}
