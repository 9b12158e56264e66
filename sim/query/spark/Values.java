import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.NanoTime;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DateLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DecimalLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.IntLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.ListLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.MapLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimeLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimeUnit;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimestampLogicalTypeAnnotation;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;

/** Values of Parquet objects as Java holds them. */
final class Values {
  private Values() {}

  /** A number of units since 1970, as a Parquet column has it. digits: of a second's part. */
  record Moment(long units, int digits, boolean utc) {
    Instant instant() {
      long second = (long) Math.pow(10, digits);
      long part = Math.floorMod(units, second);
      return Instant.ofEpochSecond(
          Math.floorDiv(units, second), part * (1_000_000_000L / second));
    }

    /** As Arrow casts it to text. */
    String sql() {
      String pattern = "uuuu-MM-dd HH:mm:ss." + "S".repeat(digits) + (utc ? "'Z'" : "");
      return DateTimeFormatter.ofPattern(pattern).format(instant().atOffset(ZoneOffset.UTC));
    }

    /** As Python's isoformat, which knows no nanoseconds: those as Arrow writes them. */
    @Override
    public String toString() {
      if (digits == 9) {
        return sql();
      }
      boolean whole = instant().getNano() / 1000 == 0;
      String pattern = "uuuu-MM-dd'T'HH:mm:ss" + (whole ? "" : ".SSSSSS") + (utc ? "'+00:00'" : "");
      return DateTimeFormatter.ofPattern(pattern).format(instant().atOffset(ZoneOffset.UTC));
    }
  }

  /** A whole number, with the width of its column. */
  record Whole(BigInteger value, int bits) {
    @Override
    public String toString() {
      return value.toString();
    }
  }

  /** A time of day. */
  record Clock(long units, int digits) {
    LocalTime time() {
      return LocalTime.ofNanoOfDay(units * (long) Math.pow(10, 9 - digits));
    }

    String sql() {
      return DateTimeFormatter.ofPattern("HH:mm:ss." + "S".repeat(digits)).format(time());
    }

    @Override
    public String toString() {
      String pattern = time().getNano() / 1000 == 0 ? "HH:mm:ss" : "HH:mm:ss.SSSSSS";
      return DateTimeFormatter.ofPattern(pattern).format(time());
    }
  }

  /** The value of a column, null where there is none. */
  static Object decoded(Group group, int field) {
    if (group.getFieldRepetitionCount(field) == 0) {
      return null;
    }
    Type type = group.getType().getType(field);
    if (type.isRepetition(Type.Repetition.REPEATED)) {
      List<Object> found = new ArrayList<>();
      for (int i = 0; i < group.getFieldRepetitionCount(field); i++) {
        found.add(one(group, field, i, type));
      }
      return found;
    }
    return one(group, field, 0, type);
  }

  private static Object one(Group group, int field, int place, Type type) {
    if (type.isPrimitive()) {
      return primitive(group, field, place, type);
    }
    Group inner = group.getGroup(field, place);
    LogicalTypeAnnotation kind = type.getLogicalTypeAnnotation();
    boolean list = kind instanceof ListLogicalTypeAnnotation;
    if (list && inner.getType().getType(0).isPrimitive()) {
      return decoded(inner, 0);
    }
    if (list || kind instanceof MapLogicalTypeAnnotation) {
      List<Object> found = new ArrayList<>();
      for (int i = 0; i < inner.getFieldRepetitionCount(0); i++) {
        Group item = inner.getGroup(0, i);
        if (list) {
          found.add(decoded(item, 0));
        } else {
          List<Object> pair = new ArrayList<>();
          pair.add(decoded(item, 0));
          pair.add(decoded(item, 1));
          found.add(pair);
        }
      }
      return found;
    }
    Map<String, Object> found = new TreeMap<>();
    for (int i = 0; i < inner.getType().getFieldCount(); i++) {
      found.put(inner.getType().getFieldName(i), decoded(inner, i));
    }
    return found;
  }

  private static Object primitive(Group group, int field, int place, Type type) {
    LogicalTypeAnnotation kind = type.getLogicalTypeAnnotation();
    return switch (type.asPrimitiveType().getPrimitiveTypeName()) {
      case BOOLEAN -> group.getBoolean(field, place);
      case FLOAT -> group.getFloat(field, place);
      case DOUBLE -> group.getDouble(field, place);
      case INT32 -> whole(group.getInteger(field, place), 32, kind);
      case INT64 -> whole(group.getLong(field, place), 64, kind);
      case INT96 -> {
        NanoTime time = NanoTime.fromBinary(group.getInt96(field, place));
        long days = time.getJulianDay() - 2_440_588L;
        yield new Moment(days * 86_400_000_000_000L + time.getTimeOfDayNanos(), 9, false);
      }
      case BINARY, FIXED_LEN_BYTE_ARRAY -> {
        byte[] bytes = group.getBinary(field, place).getBytes();
        if (kind instanceof DecimalLogicalTypeAnnotation decimal) {
          yield new BigDecimal(new BigInteger(bytes), decimal.getScale());
        }
        boolean text =
            kind instanceof LogicalTypeAnnotation.StringLogicalTypeAnnotation
                || kind instanceof LogicalTypeAnnotation.EnumLogicalTypeAnnotation
                || kind instanceof LogicalTypeAnnotation.JsonLogicalTypeAnnotation;
        yield text ? new String(bytes, StandardCharsets.UTF_8) : bytes;
      }
    };
  }

  private static Object whole(long value, int bits, LogicalTypeAnnotation kind) {
    if (kind instanceof DateLogicalTypeAnnotation) {
      return LocalDate.ofEpochDay(value);
    }
    if (kind instanceof TimestampLogicalTypeAnnotation time) {
      return new Moment(value, digits(time.getUnit()), time.isAdjustedToUTC());
    }
    if (kind instanceof TimeLogicalTypeAnnotation time) {
      return new Clock(value, digits(time.getUnit()));
    }
    if (kind instanceof DecimalLogicalTypeAnnotation decimal) {
      return BigDecimal.valueOf(value, decimal.getScale());
    }
    BigInteger number = BigInteger.valueOf(value);
    if (kind instanceof IntLogicalTypeAnnotation integer) {
      if (!integer.isSigned() && value < 0) {
        number = number.add(BigInteger.ONE.shiftLeft(bits));
      }
      return new Whole(number, integer.getBitWidth());
    }
    return new Whole(number, bits);
  }

  private static int digits(TimeUnit unit) {
    return switch (unit) {
      case MILLIS -> 3;
      case MICROS -> 6;
      case NANOS -> 9;
    };
  }

  /** Whether Delta and Spark have a type for a column that holds it without loss. */
  static boolean canBeAdded(Type type) {
    LogicalTypeAnnotation kind = type.getLogicalTypeAnnotation();
    if (!type.isPrimitive()) {
      return type.asGroupType().getFields().stream().allMatch(Values::canBeAdded);
    }
    boolean unsigned = kind instanceof IntLogicalTypeAnnotation integer && !integer.isSigned();
    boolean fine =
        kind instanceof TimestampLogicalTypeAnnotation time && time.getUnit() == TimeUnit.NANOS;
    boolean odd =
        kind instanceof TimeLogicalTypeAnnotation
            || kind instanceof LogicalTypeAnnotation.UnknownLogicalTypeAnnotation
            || kind instanceof LogicalTypeAnnotation.Float16LogicalTypeAnnotation;
    return !unsigned && !fine && !odd
        && type.asPrimitiveType().getPrimitiveTypeName() != PrimitiveTypeName.INT96;
  }
}
