-- What is out of service, so that retention finds it without reading what is in service.
CREATE INDEX endpoint_retired ON endpoint (project, seq) WHERE deleted_at IS NOT NULL;
CREATE INDEX source_retired ON source (project, seq) WHERE deleted_at IS NOT NULL;
CREATE INDEX subscription_retired ON subscription (project, seq) WHERE deleted_at IS NOT NULL;
CREATE INDEX api_key_retired ON api_key (project, seq) WHERE deleted_at IS NOT NULL;
CREATE INDEX callback_config_retired ON callback_config (project, seq) WHERE deleted_at IS NOT NULL;
CREATE INDEX project_retired ON project (name, seq) WHERE retired_at IS NOT NULL;
