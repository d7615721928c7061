//! Who works for an account: agents, skills, places, groups of both, and the rules that agents work by.
//!
//! All are documents of one shape, so that one set of handlers serves them.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use signalbox_engine::{
    Agent, AgentGroup, AgentRules, Configuration, Document, DocumentKind, Name, Place, PlaceGroup, SkillType,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Look, Operate};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, named, put_status, tag, tagged};
use super::{Problem, State};

/// A document about those who work, known by its name.
trait Staff: Serialize + DeserializeOwned + ToSchema + Clone {
    const KIND: DocumentKind;
    /// As in paths.
    const NOUN: &'static str;
    /// The field that names other documents.
    const NAMES: &'static str;

    fn all(configuration: &Configuration) -> Vec<Self>;
    fn find(configuration: &Configuration, name: &Name) -> Option<Self>;
    fn document(self) -> Document;
}

async fn list<T: Staff>(caller: Caller<Look>) -> Answer<Page<T>> {
    Answer(Page::whole(T::all(&caller.lane.published().configuration)))
}

async fn get<T: Staff>(caller: Caller<Look>, parameters: Parameters) -> Result<Response, Problem> {
    let name: Name = parameters.get(T::NOUN)?;
    let found = T::find(&caller.lane.published().configuration, &name);
    Ok(tagged(StatusCode::OK, &found.ok_or_else(|| Problem::unknown(T::NOUN, &name))?))
}

async fn put<T: Staff>(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    body: Map<String, Value>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get(T::NOUN)?;
    let new: T = named(body, &[("name", &name)])?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = T::find(&caller.lane.published().configuration, &name);
    condition.check(standing.as_ref().map(tag).as_deref())?;
    caller.put(new.clone().document()).await.map_err(|problem| {
        // A group names skills in its expression, agents in its list.
        let in_expression = T::KIND == DocumentKind::AgentGroup && problem.code() == "skill-unknown";
        problem.named_in(if in_expression { "expression" } else { T::NAMES })
    })?;
    Ok(tagged(put_status(standing.as_ref()), &new))
}

macro_rules! staff {
    ($($module:ident: $type:ident $kind:ident $noun:tt $names:tt $field:ident $many:tt $one:tt $take:expr, $wrap:expr;)*) => {$(
        impl Staff for $type {
            const KIND: DocumentKind = DocumentKind::$kind;
            const NOUN: &'static str = $noun;
            const NAMES: &'static str = $names;

            fn all(configuration: &Configuration) -> Vec<Self> {
                configuration.$field.values().map($take).collect()
            }

            fn find(configuration: &Configuration, name: &Name) -> Option<Self> {
                configuration.$field.get(name).map($take)
            }

            fn document(self) -> Document {
                $wrap(self)
            }
        }

        pub(super) mod $module {
            use super::*;

            /// Lists all of them.
            #[utoipa::path(
                get,
                path = $many,
                security(("token" = ["client", "agent", "designer", "approver", "operator"])),
                responses((status = 200, description = "All of them.", body = Page<$type>))
            )]
            async fn list(caller: Caller<Look>) -> Answer<Page<$type>> {
                super::list(caller).await
            }

            /// Shows one.
            #[utoipa::path(
                get,
                path = $one,
                security(("token" = ["client", "agent", "designer", "approver", "operator"])),
                responses((status = 200, description = "It.", body = $type))
            )]
            async fn get(caller: Caller<Look>, parameters: Parameters) -> Result<Response, Problem> {
                super::get::<$type>(caller, parameters).await
            }

            /// Makes or changes one.
            #[utoipa::path(
                put,
                path = $one,
                security(("token" = ["operator"])),
                request_body(content = $type, description = "`name` may be left out."),
                responses(
                    (status = 200, description = "It was changed.", body = $type),
                    (status = 201, description = "It was made.", body = $type)
                )
            )]
            async fn put(
                caller: Caller<Operate>,
                parameters: Parameters,
                condition: Condition,
                Json(body): Json<Map<String, Value>>,
            ) -> Result<Response, Problem> {
                super::put::<$type>(caller, parameters, condition, body).await
            }

            /// Deletes one that nothing needs. An agent is logged out and its work goes back to the queues.
            #[utoipa::path(
                delete,
                path = $one,
                security(("token" = ["operator"])),
                responses((status = 204, description = "It is gone."))
            )]
            async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
                caller.remove_named(<$type as Staff>::KIND, &parameters, <$type as Staff>::NOUN).await
            }

            pub(in crate::http) fn routes() -> OpenApiRouter<State> {
                OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
            }
        }
    )*};
}

fn shared<T: Clone>(value: &Arc<T>) -> T {
    T::clone(value)
}

staff! {
    agents: Agent Agent "agent" "skills" agents "/v1/accounts/{account}/agents" "/v1/accounts/{account}/agents/{agent}"
        shared, |it| Document::Agent(Arc::new(it));
    skills: SkillType Skill "skill" "name" skills "/v1/accounts/{account}/skills" "/v1/accounts/{account}/skills/{skill}"
        Clone::clone, Document::Skill;
    places: Place Place "place" "name" places "/v1/accounts/{account}/places" "/v1/accounts/{account}/places/{place}"
        Clone::clone, Document::Place;
    agent_groups: AgentGroup AgentGroup "agent-group" "agents" agent_groups
        "/v1/accounts/{account}/agent-groups" "/v1/accounts/{account}/agent-groups/{agent-group}"
        shared, |it| Document::AgentGroup(Arc::new(it));
    place_groups: PlaceGroup PlaceGroup "place-group" "places" place_groups
        "/v1/accounts/{account}/place-groups" "/v1/accounts/{account}/place-groups/{place-group}"
        shared, |it| Document::PlaceGroup(Arc::new(it));
}

/// The rules that agents work by.
pub(super) fn rules() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(get_rules, put_rules))
}

/// Shows the rules that agents work by.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/agent-rules",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "The rules.", body = AgentRules))
)]
async fn get_rules(caller: Caller<Look>) -> Response {
    tagged(StatusCode::OK, &*caller.lane.published().configuration.agent_rules)
}

/// Changes the rules that agents work by. What is left out is as it was at first.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/agent-rules",
    security(("token" = ["operator"])),
    request_body = AgentRules,
    responses((status = 200, description = "They were changed.", body = AgentRules))
)]
async fn put_rules(
    caller: Caller<Operate>,
    condition: Condition,
    Json(rules): Json<AgentRules>,
) -> Result<Response, Problem> {
    let _held = caller.state.documents(&caller.lane).await;
    let standing = Arc::clone(&caller.lane.published().configuration.agent_rules);
    condition.check(Some(&tag(&*standing)))?;
    caller.put(Document::AgentRules(Arc::new(rules.clone()))).await?;
    Ok(tagged(StatusCode::OK, &rules))
}
