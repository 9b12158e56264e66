import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.expressions.CurrentDate;
import org.apache.spark.sql.catalyst.expressions.CurrentTimestampLike;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.ExpressionInfo;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.expressions.LocalTimestamp;
import org.apache.spark.sql.catalyst.expressions.NamedArgumentExpression;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.classic.Dataset;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.internal.SQLConf;
import scala.Function1;
import scala.Tuple3;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * Two things that Databricks has and open Spark lacks.
 *
 * <p>{@code read_files(path, name => value, ...)} is a table function for {@code FROM STREAM}. It is
 * Spark's streaming file source over {@link LakeParquet}. The options are those of the parity ledger
 * (pipeline/catalog/ledger.py), which arrive in the setting {@code spark.windfleet.read_files}; any
 * other option or value is an error that names it.
 *
 * <p>A clock: with the setting {@code spark.windfleet.now}, {@code current_date()},
 * {@code current_timestamp()}, {@code now()} and {@code localtimestamp()} are that instant.
 */
public final class WindfleetExtensions extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  private static final String OPTIONS = "spark.windfleet.read_files";
  private static final String NOW = "spark.windfleet.now";

  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    extensions.injectTableFunction(
        new Tuple3<>(
            new FunctionIdentifier("read_files"),
            new ExpressionInfo(WindfleetExtensions.class.getName(), "read_files"),
            new AbstractFunction1<Seq<Expression>, LogicalPlan>() {
              @Override
              public LogicalPlan apply(Seq<Expression> arguments) {
                return readFiles(arguments);
              }
            }));
    extensions.injectPostHocResolutionRule(
        new AbstractFunction1<org.apache.spark.sql.SparkSession, Rule<LogicalPlan>>() {
          @Override
          public Rule<LogicalPlan> apply(org.apache.spark.sql.SparkSession session) {
            return new Clock();
          }
        });
    return BoxedUnit.UNIT;
  }

  private static LogicalPlan readFiles(Seq<Expression> arguments) {
    Map<String, String> given = new HashMap<>();
    String path = null;
    for (Expression each : CollectionConverters.asJava(arguments)) {
      if (each instanceof NamedArgumentExpression named) {
        given.put(named.key(), text(named.value()));
      } else if (path == null) {
        path = text(each);
      } else {
        throw new IllegalArgumentException("read_files: more than one path");
      }
    }
    if (path == null) {
      throw new IllegalArgumentException("read_files: no path");
    }
    Map<String, String> options = accepted(given);
    String schema = schema(options);
    if (options.containsKey("maxFilesPerTrigger") && options.containsKey("maxBytesPerTrigger")) {
      throw new IllegalArgumentException(
          "read_files: maxBytesPerTrigger: is not supported together with maxFilesPerTrigger");
    }
    options.remove("format");
    // The rest of the accepted options either goes to Spark's file source by the same name, or has
    // one value: the only one that Spark does.
    options.put("recursiveFileLookup", "true");
    // Spark passes over files that are a week older than the newest one; Auto Loader does not.
    options.put("maxFileAge", "36500d");
    @SuppressWarnings("unchecked")
    Dataset<Row> found =
        (Dataset<Row>)
            SparkSession.active()
                .readStream()
                .format(LakeParquet.class.getName())
                .schema(schema)
                .options(options)
                .load(path);
    return found.logicalPlan();
  }

  /** The columns. As on Databricks, those of `schema` are all, and those of `schemaHints` may grow. */
  private static String schema(Map<String, String> options) {
    String schema = options.remove("schema");
    String hints = options.remove("schemaHints");
    boolean grows = "addNewColumns".equals(options.get(LakeParquet.MODE));
    if (grows && schema != null) {
      throw new IllegalArgumentException(
          "read_files: schemaEvolutionMode => 'addNewColumns': takes its columns from schemaHints, "
              + "not from schema");
    }
    if (!grows && hints != null) {
      throw new IllegalArgumentException(
          "read_files: schemaHints: is supported with schemaEvolutionMode => 'addNewColumns' only");
    }
    if (schema == null && hints == null) {
      throw new IllegalArgumentException("read_files: schema is missing; columns are not inferred here");
    }
    return schema == null ? hints : schema;
  }

  private static String text(Expression expression) {
    if (!expression.foldable()) {
      throw new IllegalArgumentException("read_files: " + expression.sql() + ": must be a literal");
    }
    return String.valueOf(expression.eval(null));
  }

  /** Options by their plain name. The setting is "name=value|value;...", where # is a number from 1 up. */
  private static Map<String, String> accepted(Map<String, String> given) {
    Map<String, String[]> known = new HashMap<>();
    for (String each : SQLConf.get().getConfString(OPTIONS, "").split(";")) {
      int equals = each.indexOf('=');
      String[] entry = {each.substring(0, equals), each.substring(equals + 1)};
      known.put(entry[0].toLowerCase(Locale.ROOT), entry);
    }
    Map<String, String> options = new HashMap<>();
    for (Map.Entry<String, String> each : given.entrySet()) {
      String[] entry = known.get(each.getKey().toLowerCase(Locale.ROOT));
      if (entry == null) {
        throw new IllegalArgumentException("read_files: " + each.getKey() + ": is not supported here");
      }
      String value = each.getValue();
      boolean fits =
          switch (entry[1]) {
            case "*" -> true;
            case "#" -> value.matches("[1-9][0-9]{0,17}");
            default -> java.util.Arrays.asList(entry[1].split("\\|", -1)).contains(value);
          };
      if (!fits) {
        throw new IllegalArgumentException(
            "read_files: " + entry[0] + " => '" + value + "': must be "
                + (entry[1].equals("#") ? "a whole number from 1 up" : "'" + entry[1].replace("|", "' or '") + "'"));
      }
      options.put(entry[0], value);
    }
    return options;
  }

  /** Puts the instant of the setting in the place of the clock. */
  private static final class Clock extends Rule<LogicalPlan> {
    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      String text = SQLConf.get().getConfString(NOW, "");
      if (text.isEmpty()) {
        return plan;
      }
      Instant now = Instant.parse(text);
      long instant_us = now.getEpochSecond() * 1_000_000L + now.getNano() / 1_000;
      int day = (int) now.atZone(ZoneOffset.UTC).toLocalDate().toEpochDay();
      return (LogicalPlan)
          plan.transformAllExpressions(
              new AbstractPartialFunction<Expression, Expression>() {
                @Override
                public boolean isDefinedAt(Expression each) {
                  return each instanceof CurrentTimestampLike
                      || each instanceof CurrentDate
                      || each instanceof LocalTimestamp;
                }

                @Override
                @SuppressWarnings("unchecked")
                public <A extends Expression, B> B applyOrElse(A each, Function1<A, B> other) {
                  if (!isDefinedAt(each)) {
                    return other.apply(each);
                  }
                  Object value = each instanceof CurrentDate ? (Object) day : (Object) instant_us;
                  return (B) Literal.create(value, each.dataType());
                }
              });
    }
  }
}
