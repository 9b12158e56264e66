-- Rows by turbine and step: sums, the last operating state, the share in an available state.
SELECT
  turbine_id,
  farm_id,
  (unix_micros(timestamp) - :origin_us) DIV :step_us AS step,
  COUNT(*) AS row_count,
  SUM(CASE WHEN status IN ('running', 'standby', 'curtailed') THEN 1 ELSE 0 END) AS available,
  AVG(power_output) AS power,
  AVG(wind_speed) AS wind,
  AVG(vibration_level) AS vibration,
  MAX_BY(status, timestamp) AS state
FROM wind_turbine_enriched
GROUP BY turbine_id, farm_id, step
