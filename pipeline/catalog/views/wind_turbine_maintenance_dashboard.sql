-- Maintenance: turbines ranked by how far they have left their own past and their farm.
--
-- Ten-minute means of running turbines are compared with the median of the farm's running turbines in
-- the same ten minutes, so that weather and ambient temperature cancel. The rest of the difference that
-- comes with the turbine's own load (temperatures), rotor speed (vibration) or wind (output) is taken
-- out by the farm's slope at that level of output. The median day of the last five (`recent`) is then
-- compared with that of the first third of the last 60 days, the turbine's own past. A deviation divided
-- by the usual deviation within the farm is its score. Rows after current_timestamp() are left out, so
-- that an earlier clock gives the ranking of an earlier day.
--
--   gearbox_k, generator_k, nacelle_k   deviation of the temperature above ambient, K
--   vibration_mm_s                      deviation of the vibration, mm/s
--   output                              deviation of power over rated power, below 0.9 of it
--   *_per_week                          slope over the last 28 days, per week
--   score                               the largest score; from 4 up `component` names the likely cause
--
-- Signs by component (P. Tchakoua et al., Energies 7 (2014) 2595-2630): gearbox, much heat in the oil
-- for the vibration; main bearing, little; generator, heat in the winding and vibration; cooling, heat
-- without vibration; pitch, much lost output for the vibration; rotor, little; yaw, lost output only.
-- Vibrations of several sources add in squares, so `source` is the part that came with the deviation.
-- Converter and transformer show in no channel.
CREATE OR REPLACE VIEW wind_turbine_maintenance_dashboard AS
WITH moments AS (
  SELECT
    turbine_id,
    farm_id,
    DATE_TRUNC('HOUR', timestamp) AS hour,
    CAST(FLOOR(EXTRACT(MINUTE FROM timestamp) / 10) AS INT) AS tenth,
    AVG(power_output / rated_power) AS output,
    AVG(gearbox_temperature - ambient_temperature) AS gearbox,
    AVG(generator_temperature - ambient_temperature) AS generator,
    AVG(temperature - ambient_temperature) AS nacelle,
    AVG(vibration_level) AS vibration,
    AVG(rotor_rpm) AS rpm,
    AVG(wind_speed) AS wind
  FROM wind_turbine_enriched
  WHERE
    status = 'running'
    AND power_output > 0.1 * rated_power
    AND timestamp <= current_timestamp()
    AND timestamp > (
      SELECT MAX(timestamp)
      FROM wind_turbine_enriched
      WHERE timestamp <= current_timestamp()
    ) - INTERVAL 60 DAYS
  GROUP BY turbine_id, farm_id, hour, tenth
),
farms AS (
  SELECT
    farm_id,
    hour,
    tenth,
    MEDIAN(output) AS output,
    MEDIAN(gearbox) AS gearbox,
    MEDIAN(generator) AS generator,
    MEDIAN(nacelle) AS nacelle,
    MEDIAN(vibration) AS vibration,
    MEDIAN(rpm) AS rpm,
    MEDIAN(wind) AS wind
  FROM moments
  GROUP BY farm_id, hour, tenth
  HAVING COUNT(*) >= 3
),
differences AS (
  SELECT
    moments.turbine_id,
    moments.farm_id,
    CAST(moments.hour AS DATE) AS date,
    CAST(FLOOR(10 * farms.output) AS INT) AS level,
    moments.output - farms.output AS output,
    moments.gearbox - farms.gearbox AS gearbox,
    moments.generator - farms.generator AS generator,
    moments.nacelle - farms.nacelle AS nacelle,
    moments.vibration - farms.vibration AS vibration,
    moments.rpm - farms.rpm AS rpm,
    moments.wind - farms.wind AS wind
  FROM moments
  JOIN farms
    ON moments.farm_id = farms.farm_id
    AND moments.hour = farms.hour
    AND moments.tenth = farms.tenth
),
slopes AS (
  -- Without a spread in x an engine gives NULL or NaN: no slope.
  SELECT
    farm_id,
    level,
    COALESCE(NULLIF(REGR_SLOPE(output, wind), CAST('NaN' AS DOUBLE)), 0.0) AS output,
    COALESCE(NULLIF(REGR_SLOPE(gearbox, output), CAST('NaN' AS DOUBLE)), 0.0) AS gearbox,
    COALESCE(NULLIF(REGR_SLOPE(generator, output), CAST('NaN' AS DOUBLE)), 0.0) AS generator,
    COALESCE(NULLIF(REGR_SLOPE(nacelle, output), CAST('NaN' AS DOUBLE)), 0.0) AS nacelle,
    COALESCE(NULLIF(REGR_SLOPE(vibration, rpm), CAST('NaN' AS DOUBLE)), 0.0) AS vibration
  FROM differences
  GROUP BY farm_id, level
),
daily AS (
  SELECT
    differences.turbine_id,
    differences.farm_id,
    differences.date,
    AVG(
      CASE
        WHEN differences.level < 9
          THEN differences.output - slopes.output * differences.wind
      END
    ) AS output,
    AVG(differences.gearbox - slopes.gearbox * differences.output) AS gearbox,
    AVG(differences.generator - slopes.generator * differences.output) AS generator,
    AVG(differences.nacelle - slopes.nacelle * differences.output) AS nacelle,
    AVG(differences.vibration - slopes.vibration * differences.rpm) AS vibration
  FROM differences
  JOIN slopes
    ON differences.farm_id = slopes.farm_id AND differences.level = slopes.level
  GROUP BY differences.turbine_id, differences.farm_id, differences.date
  HAVING COUNT(*) >= 6
),
numbered AS (
  SELECT
    daily.*,
    DATEDIFF(daily.date, span.first_day) AS day,
    span.days
  FROM daily
  CROSS JOIN (
    SELECT MIN(date) AS first_day, DATEDIFF(MAX(date), MIN(date)) + 1 AS days
    FROM daily
  ) AS span
),
deviations AS (
  SELECT
    turbine_id,
    farm_id,
    MAX(date) AS last_day,
    MEDIAN(CASE WHEN day >= days - 5 THEN output END)
      - MEDIAN(CASE WHEN day < days / 3.0 THEN output END) AS output,
    MEDIAN(CASE WHEN day >= days - 5 THEN gearbox END)
      - MEDIAN(CASE WHEN day < days / 3.0 THEN gearbox END) AS gearbox,
    MEDIAN(CASE WHEN day >= days - 5 THEN generator END)
      - MEDIAN(CASE WHEN day < days / 3.0 THEN generator END) AS generator,
    MEDIAN(CASE WHEN day >= days - 5 THEN nacelle END)
      - MEDIAN(CASE WHEN day < days / 3.0 THEN nacelle END) AS nacelle,
    MEDIAN(CASE WHEN day >= days - 5 THEN vibration END)
      - MEDIAN(CASE WHEN day < days / 3.0 THEN vibration END) AS vibration,
    7 * NULLIF(
      REGR_SLOPE(CASE WHEN day >= days - 28 THEN output END, day), CAST('NaN' AS DOUBLE)
    ) AS output_per_week,
    7 * NULLIF(
      REGR_SLOPE(CASE WHEN day >= days - 28 THEN gearbox END, day), CAST('NaN' AS DOUBLE)
    ) AS gearbox_per_week,
    7 * NULLIF(
      REGR_SLOPE(CASE WHEN day >= days - 28 THEN generator END, day), CAST('NaN' AS DOUBLE)
    ) AS generator_per_week,
    7 * NULLIF(
      REGR_SLOPE(CASE WHEN day >= days - 28 THEN nacelle END, day), CAST('NaN' AS DOUBLE)
    ) AS nacelle_per_week,
    7 * NULLIF(
      REGR_SLOPE(CASE WHEN day >= days - 28 THEN vibration END, day), CAST('NaN' AS DOUBLE)
    ) AS vibration_per_week
  FROM numbered
  WHERE days >= 10
  GROUP BY turbine_id, farm_id
),
levels AS (
  SELECT farm_id, AVG(vibration) AS vibration
  FROM farms
  GROUP BY farm_id
),
usual AS (
  -- The usual deviation of a farm's turbines, robust: 1.4826 times the median; never below a floor.
  SELECT
    farm_id,
    GREATEST(0.01, 1.4826 * MEDIAN(ABS(output))) AS output,
    GREATEST(0.3, 1.4826 * MEDIAN(ABS(gearbox))) AS gearbox,
    GREATEST(0.5, 1.4826 * MEDIAN(ABS(generator))) AS generator,
    GREATEST(1.0, 1.4826 * MEDIAN(ABS(nacelle))) AS nacelle,
    GREATEST(0.03, 1.4826 * MEDIAN(ABS(vibration))) AS vibration
  FROM deviations
  GROUP BY farm_id
),
scores AS (
  SELECT
    deviations.*,
    -deviations.output / usual.output AS output_score,
    deviations.gearbox / usual.gearbox AS gearbox_score,
    deviations.generator / usual.generator AS generator_score,
    deviations.nacelle / usual.nacelle AS nacelle_score,
    deviations.vibration / usual.vibration AS vibration_score,
    SQRT(
      GREATEST(deviations.vibration, 0.0)
      * (GREATEST(deviations.vibration, 0.0) + 2 * levels.vibration)
    ) AS source
  FROM deviations
  JOIN usual ON deviations.farm_id = usual.farm_id
  JOIN levels ON deviations.farm_id = levels.farm_id
),
judged AS (
  SELECT
    *,
    GREATEST(
      COALESCE(output_score, 0.0),
      COALESCE(gearbox_score, 0.0),
      COALESCE(generator_score, 0.0),
      COALESCE(nacelle_score, 0.0),
      COALESCE(vibration_score, 0.0)
    ) AS score
  FROM scores
)
SELECT
  ROW_NUMBER() OVER (ORDER BY score DESC, turbine_id) AS place,
  turbine_id,
  farm_id,
  score,
  CASE
    WHEN score < 4 THEN NULL
    WHEN vibration_score < 3 AND generator_score >= 3 THEN 'cooling'
    WHEN generator_score >= 3 AND generator_score >= gearbox_score THEN 'generator'
    WHEN gearbox_score >= 2 AND gearbox >= 1.8 * source THEN 'gearbox'
    WHEN gearbox_score >= 2 AND vibration_score >= 3 THEN 'main_bearing'
    WHEN vibration_score >= 3 AND -output >= 0.013 * source THEN 'pitch'
    WHEN vibration_score >= 3 THEN 'rotor'
    WHEN nacelle_score >= 3 THEN 'cooling'
    ELSE 'yaw'
  END AS component,
  gearbox AS gearbox_k,
  generator AS generator_k,
  nacelle AS nacelle_k,
  vibration AS vibration_mm_s,
  output,
  gearbox_per_week,
  generator_per_week,
  nacelle_per_week,
  vibration_per_week,
  output_per_week,
  last_day
FROM judged;
