SELECT f.load_id, f.loaded_at, f.incident_key, f.incident_id, f.kind, f.action, f.acted_by, f.until, f.reason, f.action_date FROM raw.incident_actions AS f
