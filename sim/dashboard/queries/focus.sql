-- Rows around the first episodes. Follows `WITH episodes AS (...)`, of episodes.sql.
, margins AS (
  SELECT
    place,
    turbine_id,
    first_us,
    last_us,
    CAST(
      LEAST(GREATEST((last_us - first_us) / 2, CAST(:window_us AS BIGINT) * 6), 172800000000)
      AS BIGINT
    ) AS margin_us
  FROM episodes
  WHERE place <= :most_focused
),
spans AS (
  SELECT
    place,
    turbine_id,
    first_us - margin_us AS from_us,
    last_us + margin_us AS to_us,
    :sample_us * CAST(
      CEIL((last_us - first_us + 2 * margin_us) / (CAST(:sample_us AS DOUBLE) * :most_points))
      AS BIGINT
    ) AS point_us
  FROM margins
)
SELECT
  spans.place,
  MAX(spans.from_us) AS from_us,
  MAX(spans.point_us) AS point_us,
  (unix_micros(measured.timestamp) - spans.from_us) DIV spans.point_us AS point,
  AVG(measured.power_output) AS power,
  AVG(measured.wind_speed) AS wind,
  MAX(measured.vibration_level) AS vibration,
  AVG(measured.gearbox_temperature) AS gearbox,
  AVG(measured.generator_temperature) AS generator
FROM spans
JOIN wind_turbine_enriched AS measured
  ON measured.turbine_id = spans.turbine_id
WHERE
  unix_micros(measured.timestamp) >= spans.from_us
  AND unix_micros(measured.timestamp) <= spans.to_us
GROUP BY spans.place, point
ORDER BY spans.place, point
