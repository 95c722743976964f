SELECT {columns}
FROM {raw}.incident_actions AS f
